//! All plugins in the folders that are searched, read without running any of their code. Knows nothing of
//! configs.

use crate::elf::{ElfError, FileIdentity, read_manifest};
use crate::manifest::Manifest;
use crate::search::{Origin, SearchFolder, SearchPath};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A plugin that could be loaded.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The file.
    pub path: PathBuf,
    /// Why its folder is searched.
    pub origin: Origin,
    /// What it says of itself.
    pub manifest: Manifest,
    pub(crate) identity: FileIdentity,
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
    pub(crate) folders: Vec<SearchFolder>,
    pub(crate) plugins: Vec<Arc<Plugin>>,
    pub(crate) refused: Vec<Refused>,
    shadowed: Vec<Shadowed>,
}

impl Catalog {
    /// Reads the manifest of every `*.so` in the folders, not in folders below them. The same file under two
    /// names counts once; of two plugins with one name the one of the earlier folder counts.
    pub fn discover(search_path: &SearchPath) -> Catalog {
        let mut catalog = Catalog { folders: search_path.folders().to_vec(), ..Catalog::default() };
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
        let (manifest, identity) = match read_manifest(&path) {
            Ok(read) => read,
            // Cargo puts libraries of other kinds into the same folder.
            Err(ElfError::NoManifest) if folder.origin == Origin::DevelopmentBuild => return,
            Err(error) => return self.refuse(folder, path, error.to_string()),
        };
        if !seen.insert((identity.device, identity.inode)) {
            return;
        }
        let manifest = match Manifest::parse(&manifest) {
            Ok(manifest) => manifest,
            Err(reason) => return self.refuse(folder, path, reason),
        };
        if let Some(reason) = manifest.obstacle() {
            self.refuse(folder, path, reason);
            if let Some(refused) = self.refused.last_mut() {
                refused.types = manifest.types.into_iter().map(|exported| exported.name).collect();
            }
            return;
        }
        let name = &manifest.plugin.name;
        let same = self.plugins.iter().find(|known| known.manifest.plugin.name == *name);
        match same.filter(|known| known.path.parent() != path.parent()) {
            Some(known) => {
                let (name, by) = (name.clone(), known.path.clone());
                self.shadowed.push(Shadowed { name, path, by });
            }
            None => {
                let origin = folder.origin.clone();
                self.plugins.push(Arc::new(Plugin { path, origin, manifest, identity }));
            }
        }
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
        let (manifest, identity) = read_manifest(path).map_err(|error| error.to_string())?;
        let manifest = Manifest::parse(&manifest)?;
        Ok(Plugin { path: path.to_owned(), origin: Origin::CommandLine, manifest, identity })
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
