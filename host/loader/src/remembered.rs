//! Plugins that crashed or hung when they were checked, remembered by their content until the file changes. Knows
//! nothing of how they were checked.

use crate::catalog::Plugin;
use crate::error::LoadError;
use serde_json::{Value as Json, json};
use snaphook_plugin_api::host::is_obeyed;
use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder with what is remembered: a small JSON file per plugin, named by the size and the hash of the `.so`.
#[derive(Clone, Debug)]
pub struct RememberedFailures {
    folder: PathBuf,
    /// The names in the folder when it was read.
    names: HashSet<String>,
}

impl RememberedFailures {
    /// What a folder remembers; a folder that is not there remembers nothing.
    pub fn read(folder: impl Into<PathBuf>) -> RememberedFailures {
        let folder = folder.into();
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        RememberedFailures { folder, names }
    }

    /// Why this very file is not to be loaded, if that is remembered. Hashes the file only when one of its size is.
    pub fn reason(&self, plugin: &Plugin) -> Option<String> {
        let size = format!("{}-", plugin.identity.size());
        if !self.names.iter().any(|name| name.starts_with(&size)) {
            return None;
        }
        let text = std::fs::read(self.file(plugin).ok()?).ok()?;
        let json: Json = serde_json::from_slice(&text).ok()?;
        // A newer host may get on with it.
        let is_ours = json["snaphook"] == env!("CARGO_PKG_VERSION");
        let reason = json["reason"].as_str().filter(|_| is_ours)?;
        Some(format!(
            "{} when it was checked (rebuild it, or check it again: snaphook plugins check --retry {})",
            reason.replace(is_obeyed, " "),
            plugin.path.display()
        ))
    }

    /// Remembers that this very file crashed or hung: `reason` goes on "it …".
    ///
    /// Errors: the file changed meanwhile, or the folder cannot be written.
    pub fn remember(&mut self, plugin: &Plugin, reason: &str) -> io::Result<()> {
        let file = self.file(plugin).map_err(io::Error::other)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let text = json!({
            "reason": reason, "snaphook": env!("CARGO_PKG_VERSION"), "path": plugin.path,
            "plugin": plugin.manifest.plugin.name, "version": plugin.manifest.plugin.version,
        });
        // Whole or not there, whoever else writes the same.
        let half = self.folder.join(format!(".half-{}", std::process::id()));
        std::fs::write(&half, format!("{text:#}\n"))?;
        std::fs::rename(&half, &file)?;
        self.names.extend(file.file_name().map(|name| name.to_string_lossy().into_owned()));
        Ok(())
    }

    /// Forgets this file; nothing when it was not remembered.
    ///
    /// Errors: the file changed meanwhile, or the folder cannot be written.
    pub fn forget(&mut self, plugin: &Plugin) -> io::Result<()> {
        match std::fs::remove_file(self.file(plugin).map_err(io::Error::other)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, plugin: &Plugin) -> Result<PathBuf, LoadError> {
        let (size, hash) = (plugin.identity.size(), plugin.sha256()?);
        Ok(self.folder.join(format!("{size}-{hash}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::RememberedFailures;
    use crate::catalog::Plugin;
    use crate::catalog::fixtures::write_plugin;

    #[test]
    fn failure_is_remembered_by_content_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_plugin(&path("liba.so"), "a", &["AHook"]);
        std::fs::copy(path("liba.so"), path("same.so")).unwrap();
        write_plugin(&path("other.so"), "b", &["AHook"]);
        let read = |name: &str| Plugin::read(&path(name)).unwrap();
        let mut failures = RememberedFailures::read(path("cache/failures"));
        assert_eq!(failures.reason(&read("liba.so")), None);
        failures.remember(&read("liba.so"), "crashed (SIGSEGV)").unwrap();
        let again = RememberedFailures::read(path("cache/failures"));
        let reason = again.reason(&read("same.so")).unwrap();
        assert!(reason.starts_with("crashed (SIGSEGV) when it was checked (rebuild"), "{reason}");
        // The same size, other bytes.
        assert_eq!(again.reason(&read("other.so")), None);
        failures.forget(&read("same.so")).unwrap();
        failures.forget(&read("same.so")).unwrap();
        assert_eq!(failures.reason(&read("liba.so")), None);
    }

    #[test]
    fn what_another_version_remembers_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("liba.so");
        write_plugin(&path, "a", &["AHook"]);
        let plugin = Plugin::read(&path).unwrap();
        let mut failures = RememberedFailures::read(folder.path().join("failures"));
        failures.remember(&plugin, "hung").unwrap();
        let file = failures.file(&plugin).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let ours = format!("\"snaphook\": \"{}\"", env!("CARGO_PKG_VERSION"));
        std::fs::write(&file, text.replace(&ours, "\"snaphook\": \"9.9.9\"")).unwrap();
        assert_eq!(failures.reason(&plugin), None);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(failures.reason(&plugin), None);
    }
}
