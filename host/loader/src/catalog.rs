//! All plugins in the folders that are searched, read without running any of their code. Knows nothing of
//! configs.

use crate::dynamic::Dynamic;
use crate::elf::{ElfError, read_facts};
use crate::error::LoadError;
use crate::identity::{self, FileIdentity};
use crate::lock::PluginLock;
use crate::manifest::Manifest;
use crate::obstacle::obstacle;
use crate::remembered::RememberedFailures;
use crate::search::{Origin, SearchFolder, SearchPath};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A plugin that could be loaded.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The file.
    pub path: PathBuf,
    /// Why its folder is searched.
    pub origin: Origin,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The linker's id of this build, in hexadecimal digits.
    pub build_id: Option<String>,
    pub(crate) identity: FileIdentity,
    pub(crate) dynamic: Dynamic,
    /// Where it is copied to before it is opened, if it is.
    pub(crate) copies: Option<PathBuf>,
    sha256: OnceLock<String>,
}

/// A file that is no plugin for this host, or a named folder that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file or the folder.
    pub path: PathBuf,
    /// Why its folder is searched.
    pub origin: Origin,
    /// What is wrong, and the way out.
    pub reason: String,
    /// The types that it would export, when its manifest could be read.
    pub types: Vec<String>,
}

/// A plugin that is not used, because an earlier folder has one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// Name of the plugin.
    pub name: String,
    /// The file that is not used.
    pub path: PathBuf,
    /// The file that is used.
    pub by: PathBuf,
}

/// What was found in the folders.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    is_strict: bool,
    lock: Option<PluginLock>,
    failures: Option<RememberedFailures>,
    copies: Option<PathBuf>,
    pub(crate) folders: Vec<SearchFolder>,
    pub(crate) plugins: Vec<Arc<Plugin>>,
    pub(crate) refused: Vec<Refused>,
    shadowed: Vec<Shadowed>,
}

impl Catalog {
    /// Reads the manifest of every `*.so` in the folders, not in folders below them. The same file under two
    /// names counts once; of two plugins with one name the one of the earlier folder counts.
    pub fn discover(search_path: &SearchPath) -> Catalog {
        let mut catalog = Catalog {
            is_strict: search_path.is_strict(),
            lock: search_path.lock().cloned(),
            failures: search_path.failures().map(RememberedFailures::read),
            copies: search_path.copies().map(Path::to_path_buf),
            folders: search_path.folders().to_vec(),
            ..Catalog::default()
        };
        let mut seen = HashSet::new();
        for folder in search_path.folders() {
            for path in catalog.files(folder) {
                catalog.add(folder, path, &mut seen);
            }
        }
        catalog
    }

    /// The plugins that could be loaded, in the order of the folders, then of the files' names.
    pub fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().map(Arc::as_ref)
    }

    /// The files that are no plugins for this host, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The plugins that are not used, because an earlier folder has one of the same name.
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }

    /// The folders that were searched.
    pub fn folders(&self) -> &[SearchFolder] {
        &self.folders
    }

    fn files(&mut self, folder: &SearchFolder) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(&folder.path) {
            Ok(entries) => entries,
            Err(error) => {
                if folder.origin.is_explicit() {
                    self.refuse(
                        folder,
                        folder.path.clone(),
                        format!("expected a folder ({error})"),
                    );
                }
                return Vec::new();
            }
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
            .collect();
        paths.sort();
        paths
    }

    fn add(&mut self, folder: &SearchFolder, path: PathBuf, seen: &mut HashSet<(u64, u64)>) {
        let (facts, identity) = match read_facts(&path) {
            Ok(read) => read,
            // Cargo puts libraries of other kinds into the same folder.
            Err(ElfError::NoManifest) if folder.origin == Origin::DevelopmentBuild => return,
            Err(error) => return self.refuse(folder, path, error.to_string()),
        };
        if !seen.insert((identity.device, identity.inode)) {
            return;
        }
        if let Some(reason) = self.is_strict.then(|| identity::untrusted(&path)).flatten() {
            return self.refuse(folder, path, reason);
        }
        let manifest = match Manifest::parse(&facts.manifest) {
            Ok(manifest) => manifest,
            Err(reason) => return self.refuse(folder, path, reason),
        };
        let plugin = Plugin::new(path, folder.origin.clone(), manifest, identity);
        let (build_id, dynamic, copies) = (facts.build_id, facts.dynamic, self.copies.clone());
        self.take(folder, Plugin { build_id, dynamic, copies, ..plugin });
    }

    fn take(&mut self, folder: &SearchFolder, plugin: Plugin) {
        if let Some(reason) = plugin.obstacle().or_else(|| self.refusal(&plugin)) {
            let types = plugin.manifest.types.iter();
            let types = types.map(|exported| exported.name.clone()).collect();
            let (path, origin) = (plugin.path, folder.origin.clone());
            return self.refused.push(Refused { path, origin, reason, types });
        }
        let name = &plugin.manifest.plugin.name;
        let same = self.plugins.iter().find(|known| known.manifest.plugin.name == *name);
        match same.filter(|known| known.path.parent() != plugin.path.parent()) {
            Some(known) => {
                let (name, by) = (name.clone(), known.path.clone());
                self.shadowed.push(Shadowed { name, path: plugin.path, by });
            }
            None => self.plugins.push(Arc::new(plugin)),
        }
    }

    /// Why a sound plugin is not used: it is not locked, or it failed when it was checked.
    fn refusal(&self, plugin: &Plugin) -> Option<String> {
        let locked_out = self.lock.as_ref().and_then(|lock| lock.refusal(plugin));
        locked_out.or_else(|| self.failures.as_ref().and_then(|known| known.reason(plugin)))
    }

    fn refuse(&mut self, folder: &SearchFolder, path: PathBuf, reason: String) {
        let origin = folder.origin.clone();
        self.refused.push(Refused { path, origin, reason, types: Vec::new() });
    }
}

impl Plugin {
    /// The plugin in one file, wherever it lies.
    ///
    /// Errors: why it is none, with the way out.
    pub fn read(path: &Path) -> Result<Plugin, String> {
        let (facts, identity) = read_facts(path).map_err(|error| error.to_string())?;
        let manifest = Manifest::parse(&facts.manifest)?;
        let plugin = Plugin::new(path.to_owned(), Origin::CommandLine, manifest, identity);
        Ok(Plugin { build_id: facts.build_id, dynamic: facts.dynamic, ..plugin })
    }

    fn new(path: PathBuf, origin: Origin, manifest: Manifest, identity: FileIdentity) -> Plugin {
        Plugin {
            path,
            origin,
            manifest,
            build_id: None,
            identity,
            dynamic: Dynamic::default(),
            copies: None,
            sha256: OnceLock::new(),
        }
    }

    /// Why this host cannot load it, with the way out, if it cannot; known without running it.
    pub fn obstacle(&self) -> Option<String> {
        obstacle(&self.manifest, &self.dynamic)
    }

    /// The SHA-256 of the file whose manifest was read, in hexadecimal digits; read once. The file that is loaded
    /// is this one or none.
    ///
    /// Errors: the file changed since, or cannot be read.
    pub fn sha256(&self) -> Result<&str, LoadError> {
        if let Some(hash) = self.sha256.get() {
            return Ok(hash);
        }
        let hash = identity::sha256(&self.path, &self.identity).ok().flatten();
        let hash = hash.ok_or_else(|| LoadError::Changed { path: self.path.clone() })?;
        Ok(self.sha256.get_or_init(|| hash))
    }

    /// What a run should write down of a plugin that it uses: name, version, path, hash, build id, contract,
    /// compiler, types.
    ///
    /// Errors: as [`Plugin::sha256`].
    pub fn record(&self) -> Result<Json, LoadError> {
        let manifest = &self.manifest;
        let types: Vec<&str> =
            manifest.types.iter().map(|exported| exported.name.as_str()).collect();
        Ok(json!({
            "name": manifest.plugin.name,
            "version": manifest.plugin.version,
            "path": self.path,
            "sha256": self.sha256()?,
            "build_id": self.build_id,
            "api": { "built": manifest.api_built.to_string(), "min": manifest.api_min.to_string() },
            "rustc": manifest.build.rustc,
            "target": manifest.build.target,
            "types": types,
        }))
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::Catalog;
    use crate::elf::fixtures::shared_object;
    use crate::search::SearchPath;
    use serde_json::json;
    use std::path::Path;

    /// Writes a plugin that can be found but not loaded.
    pub(crate) fn write_plugin(file: &Path, name: &str, types: &[&str]) {
        write_plugin_for(file, name, types, "1.0");
    }

    pub(crate) fn write_plugin_for(file: &Path, name: &str, types: &[&str], api: &str) {
        let types: Vec<_> = types
            .iter()
            .map(|name| {
                let properties = json!({ "interval": { "type": "integer", "minimum": 1 } });
                json!({
                    "kind": "hook", "name": name, "points": ["before_run"], "priority": null,
                    "kwargs_schema": { "type": "object", "properties": properties, "required": [] },
                })
            })
            .collect();
        let manifest = json!({
            "manifest_version": 1,
            "api": { "built": api, "min": api },
            "plugin": { "name": name, "version": "0.1.0" },
            "build": { "panic": "unwind" },
            "types": types,
        });
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, shared_object(manifest.to_string().as_bytes())).unwrap();
    }

    /// What is found in folders given as `--plugins`.
    pub(crate) fn discover(folders: &[&Path]) -> Catalog {
        let search_path = SearchPath::builder().without_environment();
        Catalog::discover(&search_path.command_line(folders.iter().copied()).build())
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::{discover, write_plugin, write_plugin_for};
    use super::{Catalog, Plugin};
    use crate::elf::fixtures::shared_object;
    use crate::search::SearchPath;

    #[test]
    fn one_bad_file_does_not_hide_the_good_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_plugin(&path("liba.so"), "a", &["AHook"]);
        write_plugin_for(&path("libold.so"), "old", &["OldHook"], "1.99");
        std::fs::write(path("libtext.so"), "not a plugin").unwrap();
        std::fs::write(path("libbroken.so"), shared_object(b"{\"manifest_version\":")).unwrap();
        std::fs::create_dir(path("folder.so")).unwrap();
        let catalog = discover(&[folder.path()]);
        let names: Vec<_> = catalog.plugins().map(|plugin| &plugin.manifest.plugin.name).collect();
        assert_eq!(names, ["a"]);
        assert_eq!(catalog.refused().len(), 4);
        let old =
            catalog.refused().iter().find(|refused| refused.path == path("libold.so")).unwrap();
        assert_eq!(old.types, ["OldHook"]);
    }

    #[test]
    fn same_file_counts_once_and_the_earlier_folder_wins() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        write_plugin(&first.join("liba.so"), "a", &["AHook"]);
        write_plugin(&second.join("liba.so"), "a", &["AHook"]);
        std::os::unix::fs::symlink(first.join("liba.so"), second.join("libz.so")).unwrap();
        let catalog = discover(&[&first, &second]);
        let paths: Vec<_> = catalog.plugins().map(|plugin| &plugin.path).collect();
        assert_eq!(paths, [&first.join("liba.so")]);
        assert_eq!(catalog.shadowed()[0].path, second.join("liba.so"));
        assert!(Plugin::read(&second.join("liba.so")).is_ok());
    }

    #[test]
    fn named_folder_that_is_missing_is_said() {
        let catalog = discover(&["/nowhere/at/all".as_ref()]);
        assert!(catalog.refused()[0].reason.starts_with("expected a folder"));
        let search_path =
            SearchPath::builder().without_environment().config("/nowhere/c.py", [""; 0]);
        assert!(Catalog::discover(&search_path.build()).refused().is_empty());
    }
}
