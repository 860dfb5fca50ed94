//! The plugins that a command line and a config can reach, read without running any of their code.
//! Knows nothing of how they are shown.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_config::Config;
use snaphook_hooks::built_in;
use snaphook_loader::{Catalog, PluginLock, PluginType, Resolved, SearchPath};
use snaphook_plugin_api::host::HookSource;

use crate::args::PluginArguments;
use crate::plan::{FoundType, HookTypes, PlanError, PlanProblem};

/// All hook types: those of plugins and the built-in ones.
pub struct Plugins {
    /// The plugins.
    pub catalog: Catalog,
    built_ins: Vec<&'static str>,
}

impl Plugins {
    /// Looks into all folders, those of the config included.
    ///
    /// Errors: as [`search_path`].
    pub fn find(
        arguments: &PluginArguments,
        config: Option<&Config>,
    ) -> Result<Plugins, PlanError> {
        let catalog = Catalog::discover(&search_path(arguments, config)?);
        Ok(Plugins { catalog, built_ins: built_in::all().iter().map(|hook| hook.name).collect() })
    }

    /// What a `type` stands for.
    ///
    /// Errors: nothing has that name, or more than one.
    pub fn resolve(&self, written: &str) -> Result<Resolved, String> {
        self.catalog.resolve(written, &self.built_ins).map_err(|error| error.to_string())
    }
}

impl HookTypes for Plugins {
    fn find(&self, written: &str) -> Result<FoundType, String> {
        match self.resolve(written)? {
            Resolved::Plugin(found) => Ok(found_type(&found)),
            Resolved::BuiltIn(name) => FoundType::built_in(&name).ok_or_else(|| {
                format!("hook type '{written}': expected a built-in hook, found none")
            }),
        }
    }
}

fn found_type(found: &PluginType) -> FoundType {
    let (plugin, info) = (found.plugin(), found.info());
    FoundType {
        name: info.name.clone(),
        source: HookSource::Plugin {
            name: plugin.manifest.plugin.name.clone(),
            version: plugin.manifest.plugin.version.clone(),
            path: plugin.path.clone(),
        },
        points: info.points.clone(),
        priority: info.priority,
        kwargs_schema: info.kwargs_schema.clone(),
    }
}

/// The folders where plugins are looked for. `plugin_dirs` are relative to the file that wrote them, or to
/// the current folder when they came from the command line.
///
/// Errors: `plugin_dirs` is something else than folders; `--locked` without a lock file.
pub fn search_path(
    arguments: &PluginArguments,
    config: Option<&Config>,
) -> Result<SearchPath, PlanError> {
    let mut builder = SearchPath::builder().command_line(&arguments.folders);
    if arguments.locked {
        let path = lock_file(config.map(Config::path));
        let lock = PluginLock::read(path).map_err(|error| {
            let message = error.to_string();
            let problem = PlanProblem { location: None, key: "--locked".to_owned(), message };
            let config = config.map_or(Path::new("snaphook"), Config::path).to_path_buf();
            PlanError { config, problems: vec![problem] }
        })?;
        builder = builder.locked(lock);
    }
    let Some(config) = config else { return Ok(builder.build()) };
    Ok(builder.config(absolute(config.path()), plugin_dirs(config)?).build())
}

/// Where the lock file of a config is: beside it, or in the current folder.
pub fn lock_file(config: Option<&Path>) -> PathBuf {
    let beside = config.and_then(Path::parent).unwrap_or(Path::new(""));
    absolute(&beside.join(PluginLock::FILE_NAME))
}

/// The folders that the config names itself.
pub(crate) fn plugin_dirs(config: &Config) -> Result<Vec<PathBuf>, PlanError> {
    let entries: Vec<(String, &Json)> = match config.get("plugin_dirs") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (format!("plugin_dirs.{index}"), item))
            .collect(),
        Some(other) => vec![("plugin_dirs".to_owned(), other)],
    };
    entries.into_iter().map(|(key, value)| plugin_dir(config, &key, value)).collect()
}

fn plugin_dir(config: &Config, key: &str, value: &Json) -> Result<PathBuf, PlanError> {
    let location = config.location(key);
    let Some(folder) = value.as_str() else {
        let message = format!("expected a folder's name, found {value}");
        let problem = PlanProblem { location, key: key.to_owned(), message };
        return Err(PlanError { config: config.path().to_path_buf(), problems: vec![problem] });
    };
    let file = location.map(|location| location.file).unwrap_or_default();
    let beside = file.parent().filter(|_| file.is_file()).unwrap_or(Path::new(""));
    Ok(absolute(&beside.join(folder)))
}

/// Messages about folders that nobody typed are of use only with the whole path.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
