//! Writes which plugins a run loaded to its folder, so that anybody can tell later what ran.

use std::path::Path;

use serde_json::{Value as Json, json};
use snaphook_plugin_api::host::HookSource;

/// One entry per plugin: name, version, path.
pub(crate) fn entry(source: &HookSource, type_name: &str) -> Option<Json> {
    match source {
        HookSource::BuiltIn => None,
        HookSource::Plugin { name, version, path } => {
            Some(json!({ "name": name, "version": version, "path": path, "type": type_name }))
        }
    }
}

/// Writes `plugins.json` in the run's folder; nothing when no plugin was loaded.
pub(crate) fn write(run_dir: &Path, entries: &[Json]) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    std::fs::write(run_dir.join("plugins.json"), format!("{:#}\n", Json::from(entries)))
}
