//! Types and keyword arguments of all components of a config. Knows nothing of what they do.

use serde_json::Value as Json;
use snaphook_components::{Catalog, Problem, ProblemKind, run};
use snaphook_config::Config;
use snaphook_plugin_api::nearest;

use super::{Finding, Mark};

/// The built-in components of all crates; hooks are known to [`crate::plugins::Plugins`].
pub(crate) fn catalog() -> Catalog {
    Catalog::built_in().with(snaphook_optimizers::declared()).with(snaphook_schedules::declared())
}

/// Every type and argument that does not fit.
pub(crate) fn check_components(config: &Config) -> Vec<Finding> {
    let problems = catalog().check_config(config.value());
    problems.into_iter().map(|problem| finding(problem).placed(config)).collect()
}

fn finding(Problem { path, kind, message }: Problem) -> Finding {
    let (code, mark) = match kind {
        ProblemKind::UnknownType => ("unknown-type", Mark::Value),
        ProblemKind::NotYet => ("not-yet", Mark::Value),
        ProblemKind::UnknownKey => ("unknown-key", Mark::Key),
        ProblemKind::Missing => ("missing", Mark::Line),
        _ => ("value", Mark::Value),
    };
    Finding::error(code, path, message).marked(mark)
}

/// Keys that MMEngine's Runner reads and a run here does not.
const IGNORED: [&str; 4] =
    ["activation_checkpointing", "compile", "efficient_conv_bn_eval", "runner_type"];

/// Whether a config gives the key a value that means something.
fn is_asked_for(config: &Config, key: &str) -> bool {
    let is_default = |value: &Json| {
        value.is_null() || *value == false || (key == "runner_type" && *value == "Runner")
    };
    config.get(key).is_some_and(|value| !is_default(value))
}

/// Warnings of what a config asks for in vain, for the log of a run.
pub fn ignored_keys(config: &Config) -> impl Iterator<Item = String> + '_ {
    let asked = IGNORED.into_iter().filter(|key| is_asked_for(config, key));
    asked.map(|key| format!("{key} has no effect in this version"))
}

/// The sections that a run cannot do without, and top-level keys that look like a misspelt one.
pub(crate) fn check_sections(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_there = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    for key in ["model", "train_dataloader", "train_cfg", "optim_wrapper"] {
        if !is_there(key) {
            let message = format!(
                "missing: a training run needs it (is {} a base of others?)",
                config.stem()
            );
            findings.push(Finding::error("missing", key, message));
        }
    }
    for (data, metric) in
        [("val_dataloader", "val_evaluator"), ("test_dataloader", "test_evaluator")]
    {
        let (here, gone) = match (is_there(data), is_there(metric)) {
            (true, false) => (data, metric),
            (false, true) => (metric, data),
            _ => continue,
        };
        let message =
            format!("missing: {here} is there, and one needs the other (or set both to None)");
        findings.push(Finding::error("missing", gone, message));
    }
    for key in IGNORED.into_iter().filter(|key| is_asked_for(config, key)) {
        let message = "has no effect in this version".to_owned();
        findings.push(Finding::warning("no-effect", key, message).marked(Mark::Key).placed(config));
    }
    let known = run::config_keys();
    for key in config.value().as_object().into_iter().flat_map(|top| top.keys()) {
        let names = || known.iter().map(String::as_str);
        if let Some(near) = nearest(key, names()).filter(|_| !names().any(|name| name == key)) {
            if is_a_word_for_something_else(key, near, config.get(key)) {
                continue;
            }
            let message = format!("means nothing to a run (did you mean `{near}`?)");
            let finding = Finding::warning("unknown-section", key, message).marked(Mark::Key);
            findings.push(finding.placed(config));
        }
    }
    findings
}

/// Variables such as `backbone_cfg` are meant as they are; only what differs by a letter or two from a
/// section, and holds the same kind of value, is taken as a slip.
fn is_a_word_for_something_else(key: &str, near: &str, value: Option<&Json>) -> bool {
    let is_section = matches!(value, Some(Json::Object(_) | Json::Array(_)));
    let words = |name: &str| name.split('_').count();
    !is_section
        || key.len().abs_diff(near.len()) > 2
        || words(key) != words(near)
        || key.chars().next() != near.chars().next()
}
