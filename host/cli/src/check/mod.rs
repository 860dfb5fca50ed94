//! Everything that can be found out about a config without training.
//!
//! ```text
//! Config ─┬─► components: every type and argument ─┐
//!         ├─► hooks: found, in order, no fights ───┤
//!         ├─► data: files, classes, batches ───────┼─► findings ─► excerpt: for people · report: for programs
//!         └─► schedule: what ends too early ───────┘
//! ```

mod components;
mod data;
mod datasets;
mod excerpt;
mod files;
mod finding;
mod hooks;
mod ranks;
mod report;
mod schedule;
mod words;

pub use components::ignored_keys;
pub(crate) use components::{catalog, check_components};
pub(crate) use finding::{Finding, Mark, Severity};
pub use ranks::dist_timeout;
pub(crate) use ranks::{check_norms, check_timeout};
pub(crate) use report::{as_json, as_text, excerpts};
pub use words::odd_words;

use snaphook_config::{Config, ConfigError};

use crate::plugins::Plugins;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckOptions {
    /// Whether annotation files are opened, for the number of pictures and classes.
    pub(crate) opens_data: bool,
}

/// All findings, errors first, each with its place where it is known.
pub(crate) fn check(config: &Config, plugins: &Plugins, options: CheckOptions) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        config.warnings().iter().map(|text| warning_of_loading(text)).collect();
    findings.extend(check_components(config));
    findings.extend(components::check_sections(config));
    findings.extend(words::check_words(config));
    findings.extend(check_timeout(config));
    findings.extend(check_norms(config));
    // A section of the wrong type is told once.
    let hooks = hooks::check_hooks(config, plugins);
    let is_told = |hook: &Finding| findings.iter().any(|known| known.key == hook.key);
    let hooks: Vec<Finding> =
        hooks.into_iter().filter(|hook| hook.key != "custom_hooks" || !is_told(hook)).collect();
    findings.extend(hooks);
    findings.extend(files::check_files(config));
    findings.extend(data::check_data(config, options));
    findings.extend(schedule::check_schedule(config));
    findings.sort_by_key(|finding| finding.severity);
    findings.dedup();
    findings
}

fn warning_of_loading(message: &str) -> Finding {
    Finding::warning("override", "", message)
}

/// A config that cannot be loaded at all.
pub(crate) fn finding_of(error: &ConfigError) -> Finding {
    match error {
        ConfigError::At { location, problem } => {
            let mut finding = Finding::error("config", "", problem.to_string());
            finding.location = Some(location.clone());
            finding.marked(Mark::Line)
        }
        other => Finding::error("config", "", crate::report::error_text(other)),
    }
}
