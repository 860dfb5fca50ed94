//! `plugins.lock`: the plugins that a run may load, byte for byte. Knows nothing of folders.

use crate::catalog::{Catalog, Plugin};
use crate::error::LoadError;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
/// A lock file of more bytes was not written by us.
const MAX_BYTES: u64 = 16 << 20;

/// One plugin that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPlugin {
    /// Name of its package.
    pub name: String,
    /// Version of its package.
    pub version: String,
    /// The plugin-api that it was built with.
    pub api: String,
    /// Names of its types.
    pub types: Vec<String>,
    /// SHA-256 of the file, in hexadecimal digits: what counts.
    pub sha256: String,
    /// Where it was, relative to the lock file if it lay below it; for people.
    pub path: PathBuf,
}

/// The plugins that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLock {
    /// The file.
    pub path: PathBuf,
    /// What may be loaded, in the order in which it was found.
    pub plugins: Vec<LockedPlugin>,
}

#[derive(Serialize, Deserialize)]
struct LockFile {
    lock_version: u32,
    plugins: Vec<LockedPlugin>,
}

/// Why a lock file is none.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It cannot be read or written.
    #[error(
        "{}: expected the plugins that may be loaded, found none ({source}; write it: snaphook plugins lock)",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{}: expected a lock file of version 1, found {found} (write it anew: snaphook plugins lock)", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// A plugin changed while it was read.
    #[error(transparent)]
    Plugin(#[from] LoadError),
}

impl PluginLock {
    /// The name of the file, beside the config.
    pub const FILE_NAME: &'static str = "plugins.lock";

    /// Every plugin of a catalog, to be written to `path`.
    ///
    /// Errors: a plugin changed since its manifest was read.
    pub fn of(catalog: &Catalog, path: impl Into<PathBuf>) -> Result<PluginLock, LockError> {
        let path = path.into();
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        let locked = |plugin: &Plugin| -> Result<LockedPlugin, LockError> {
            let manifest = &plugin.manifest;
            let file = plugin.path.canonicalize().unwrap_or_else(|_| plugin.path.clone());
            let below = folder.as_ref().and_then(|folder| file.strip_prefix(folder).ok());
            Ok(LockedPlugin {
                name: manifest.plugin.name.clone(),
                version: manifest.plugin.version.clone(),
                api: manifest.api_built.to_string(),
                types: manifest.types.iter().map(|exported| exported.name.clone()).collect(),
                sha256: plugin.sha256()?.to_owned(),
                path: below.map_or_else(|| file.clone(), Path::to_path_buf),
            })
        };
        let plugins = catalog.plugins().map(locked).collect::<Result<Vec<_>, _>>()?;
        Ok(PluginLock { path, plugins })
    }

    /// Reads a lock file.
    ///
    /// Errors: [`LockError`].
    pub fn read(path: impl Into<PathBuf>) -> Result<PluginLock, LockError> {
        let path = path.into();
        let file = |source| LockError::File { path: path.clone(), source };
        let content = |found: String| LockError::Content { path: path.clone(), found };
        let metadata = std::fs::metadata(&path).map_err(file)?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(content("something else".to_owned()));
        }
        let text = std::fs::read(&path).map_err(file)?;
        let read: LockFile = serde_json::from_slice(&text)
            .map_err(|error| content(error.to_string().replace(char::is_control, " ")))?;
        if read.lock_version != VERSION {
            return Err(content(format!("version {}", read.lock_version)));
        }
        Ok(PluginLock { path, plugins: read.plugins })
    }

    /// Writes the file, whole or not at all.
    ///
    /// Errors: the file cannot be written.
    pub fn write(&self) -> Result<(), LockError> {
        let file = LockFile { lock_version: VERSION, plugins: self.plugins.clone() };
        let failed = |source| LockError::File { path: self.path.clone(), source };
        let mut text = serde_json::to_string_pretty(&file).map_err(|error| failed(error.into()))?;
        text.push('\n');
        let half = self.path.with_extension(format!("half-{}", std::process::id()));
        let written = std::fs::write(&half, text).and_then(|()| std::fs::rename(&half, &self.path));
        written.map_err(|source| {
            // What is left of it is of use to nobody.
            let _ = std::fs::remove_file(&half);
            failed(source)
        })
    }

    /// Why a plugin may not be loaded, if it may not.
    pub fn refusal(&self, plugin: &Plugin) -> Option<String> {
        let lock = self.path.display();
        let hash = match plugin.sha256() {
            Ok(hash) => hash,
            Err(error) => return Some(error.to_string()),
        };
        if self.plugins.iter().any(|locked| locked.sha256 == hash) {
            return None;
        }
        let (name, version) = (&plugin.manifest.plugin.name, &plugin.manifest.plugin.version);
        let same = self.plugins.iter().find(|locked| locked.name == *name);
        Some(match same {
            Some(locked) => format!(
                "expected {name} {} with SHA-256 {} of {lock}, found {name} {version} with {hash} (put the locked file \
                 back, or lock this one: snaphook plugins lock)",
                locked.version, locked.sha256
            ),
            None => format!(
                "expected a plugin of {lock}, found {name} {version}, which is not in it (remove it, or lock it: \
                 snaphook plugins lock)"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LockError, PluginLock};
    use crate::catalog::Plugin;
    use crate::catalog::fixtures::{discover, write_plugin};

    #[test]
    fn lock_is_read_as_it_was_written_and_only_its_files_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_plugin(&path("plugins/liba.so"), "a", &["AHook"]);
        let catalog = discover(&[&path("plugins")]);
        let lock = PluginLock::of(&catalog, path("plugins.lock")).unwrap();
        lock.write().unwrap();
        assert_eq!(PluginLock::read(path("plugins.lock")).unwrap(), lock);
        assert_eq!(lock.plugins[0].path.to_str(), Some("plugins/liba.so"));
        let read = |name: &str| Plugin::read(&path(name)).unwrap();
        assert_eq!(lock.refusal(&read("plugins/liba.so")), None);
        std::fs::copy(path("plugins/liba.so"), path("moved.so")).unwrap();
        assert_eq!(lock.refusal(&read("moved.so")), None);
        write_plugin(&path("changed.so"), "a", &["BHook"]);
        let refusal = lock.refusal(&read("changed.so")).unwrap();
        assert!(refusal.starts_with("expected a 0.1.0 with SHA-256 "), "{refusal}");
        write_plugin(&path("new.so"), "b", &["BHook"]);
        assert!(lock.refusal(&read("new.so")).unwrap().contains("which is not in it"));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert!(!left.iter().any(|entry| entry.path().to_string_lossy().contains("half")));
    }

    #[test]
    fn file_that_is_no_lock_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.lock");
        let text = |path| PluginLock::read(path).unwrap_err().to_string();
        assert!(text(path.clone()).contains("found none (No such file"));
        std::fs::write(&path, "{\"lock_version\": 2, \"plugins\": []}").unwrap();
        assert!(text(path.clone()).contains("found version 2 (write it anew"));
        std::fs::write(&path, "[plugins]").unwrap();
        assert!(matches!(PluginLock::read(&path), Err(LockError::Content { .. })));
        assert!(text(folder.path().to_owned()).contains("found something else"));
    }
}
