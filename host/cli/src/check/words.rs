//! Words of the right type that mean nothing: levels, launchers, visualizers, folders of plugins.

use serde_json::Value as Json;
use snaphook_config::Config;
use snaphook_plugin_api::nearest;

use super::{Finding, Mark};
use crate::plugins::plugin_dirs;

const LEVELS: &[&str] =
    &["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "NOTSET"];
const LAUNCHERS: &[&str] = &["none", "pytorch", "slurm", "mpi"];
const ENVIRONMENT: &[&str] = &["cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"];
const VISUALIZERS: &[&str] = &["Visualizer", "DetLocalVisualizer"];

pub(crate) fn check_words(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let word = |key: &str| config.get(key).and_then(Json::as_str);
    if let Some(level) = word("log_level") {
        findings.extend(unknown("log_level", &level.to_ascii_uppercase(), LEVELS));
    }
    if let Some(launcher) = word("launcher") {
        findings.extend(unknown("launcher", launcher, LAUNCHERS));
    }
    if let Some(name) = word("visualizer.type") {
        let name = name.rsplit(['.', ':']).next().unwrap_or(name);
        findings.extend(unknown("visualizer.type", name, VISUALIZERS));
    }
    let environment = config.get("env_cfg").and_then(Json::as_object);
    for key in environment.into_iter().flat_map(|environment| environment.keys()) {
        findings.extend(unknown(&format!("env_cfg.{key}"), key, ENVIRONMENT));
    }
    for folder in plugin_dirs(config).unwrap_or_default() {
        if !folder.is_dir() {
            let message = format!("{}: expected a folder, found none", folder.display());
            findings.push(Finding::warning("file", "plugin_dirs", message));
        }
    }
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

/// The same for the log of a run.
pub fn odd_words(config: &Config) -> impl Iterator<Item = String> + '_ {
    let findings = check_words(config).into_iter().filter(|finding| finding.code == "value");
    findings.map(|finding| format!("{}: {}", finding.key, finding.message))
}

fn unknown(key: &str, found: &str, known: &[&'static str]) -> Option<Finding> {
    if known.contains(&found) {
        return None;
    }
    let near = nearest(found, known.iter().copied());
    let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    let message = format!("expected one of {}, found {found:?}{near}", known.join(", "));
    Some(Finding::warning("value", key, message).marked(Mark::Value))
}
