//! `log_processor` of a config: which statistics of which scalars are logged. Knows nothing of lines or files.
//!
//! Source: MMEngine 0.10.7 `mmengine/runner/log_processor.py`.

use regex_lite::Regex;
use serde_json::Value as Json;
use snaphook_plugin_api::{HookError, Metrics, Runner, nearest};

use crate::Fields;

/// What a statistic looks back over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Values(u64),
    Epoch,
    Run,
    /// All that was ever recorded.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statistic {
    Mean,
    Min,
    Max,
    Current,
}

/// An entry of `custom_cfg`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Custom {
    source: String,
    name: String,
    statistic: Statistic,
    window: Window,
}

/// How scalars are smoothed, named and printed.
#[derive(Clone, Debug)]
pub(crate) struct LogProcessor {
    window_size: u64,
    /// Whether lines count batches of an epoch; otherwise iterations of the run.
    pub(crate) by_epoch: bool,
    /// Digits behind the point.
    pub(crate) num_digits: usize,
    /// Whether names in records keep `train/` and `val/`.
    pub(crate) log_with_hierarchy: bool,
    mean_pattern: Regex,
    custom: Vec<Custom>,
}

impl Default for LogProcessor {
    fn default() -> LogProcessor {
        LogProcessor {
            window_size: 10,
            by_epoch: true,
            num_digits: 4,
            log_with_hierarchy: false,
            mean_pattern: Regex::new(MEAN_PATTERN).expect("the pattern is a constant"),
            custom: Vec::new(),
        }
    }
}

/// What is wrong with a config's `log_processor`.
///
/// Errors: an unknown key, a value of the wrong kind; the message begins with the key.
pub fn check_log_processor(section: &Json) -> Result<(), HookError> {
    LogProcessor::from_config(section).map(drop)
}

const MEAN_PATTERN: &str = r".*(loss|time|data_time|grad_norm).*";

impl LogProcessor {
    /// Reads the section.
    ///
    /// Errors: an unknown key, a value of the wrong kind, two entries of `custom_cfg` under one name.
    pub(crate) fn from_config(section: &Json) -> Result<LogProcessor, HookError> {
        let mut read = LogProcessor::default();
        let Some(map) = section.as_object() else {
            return if section.is_null() { Ok(read) } else { Err(wrong("", "a dict", section)) };
        };
        for (key, value) in map {
            match key.as_str() {
                "type" | "_scope_" => {}
                "window_size" => read.window_size = count(key, value)?,
                "by_epoch" => read.by_epoch = truth(key, value)?,
                "num_digits" => read.num_digits = digits(key, value)?,
                "log_with_hierarchy" => read.log_with_hierarchy = truth(key, value)?,
                "mean_pattern" => read.mean_pattern = pattern(key, value)?,
                "custom_cfg" => read.custom = custom_entries(value)?,
                _ => return Err(unknown(key)),
            }
        }
        if !read.by_epoch && read.custom.iter().any(|custom| custom.window == Window::Epoch) {
            let text = "log_processor.custom_cfg: window_size 'epoch' needs by_epoch=True (give a number, or 'global')";
            return Err(HookError::fatal(text));
        }
        Ok(read)
    }

    /// What an iteration logs: names without their stage, values after smoothing. `seen` batches are behind.
    pub(crate) fn iteration(
        &self,
        runner: &mut Runner,
        stage: &str,
        seen: u64,
    ) -> Result<Fields, HookError> {
        self.collect(runner, (stage, seen), &self.custom, &Metrics::default())
    }

    /// What the end of an evaluation logs: times last, and as means over its batches. Its metrics are its own, also those that
    /// have a loss in their name and would be smoothed over several evaluations in MMEngine.
    pub(crate) fn summary(
        &self,
        runner: &mut Runner,
        stage: &str,
        metrics: &Metrics,
    ) -> Result<Fields, HookError> {
        let mut custom = self.custom.clone();
        for name in ["time", "data_time"] {
            if !custom.iter().any(|entry| entry.source == name) {
                custom.push(Custom {
                    source: name.to_owned(),
                    name: name.to_owned(),
                    statistic: Statistic::Mean,
                    window: Window::Epoch,
                });
            }
        }
        // MMEngine counts one batch too many here, so that the mean takes in the last batch of the evaluation before.
        let seen = runner.epoch_length() + 1;
        let fields = self.collect(runner, (stage, seen), &custom, metrics)?;
        let is_time = |(name, _): &(String, f64)| name == "time" || name == "data_time";
        let (times, mut others): (Fields, Fields) = fields.into_iter().partition(is_time);
        others.extend(times);
        Ok(others)
    }

    fn collect(
        &self,
        runner: &mut Runner,
        (stage, seen): (&str, u64),
        custom: &[Custom],
        metrics: &Metrics,
    ) -> Result<Fields, HookError> {
        let prefix = format!("{stage}/");
        let mut fields = Fields::new();
        for key in runner.messages().keys()? {
            let Some(name) = key.strip_prefix(&prefix) else { continue };
            let value = if metrics.get(name).is_none() && self.mean_pattern.is_match(name) {
                runner.messages().mean(&key, self.window_size)
            } else {
                runner.messages().current(&key)
            };
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        for entry in custom {
            let Some(value) = entry.value(runner, &prefix, seen) else { continue };
            match fields.iter_mut().find(|(name, _)| *name == entry.name) {
                Some(field) => field.1 = value,
                None => fields.push((entry.name.clone(), value)),
            }
        }
        Ok(fields)
    }
}

impl Custom {
    fn value(&self, runner: &mut Runner, prefix: &str, seen: u64) -> Option<f64> {
        let key = format!("{prefix}{}", self.source);
        let window = match self.window {
            Window::Values(values) => values,
            Window::Epoch => seen,
            Window::Run => runner.iter() + 1,
            Window::All => 0,
        };
        match self.statistic {
            Statistic::Mean => runner.messages().mean(&key, window),
            Statistic::Min => runner.messages().min(&key, window),
            Statistic::Max => runner.messages().max(&key, window),
            Statistic::Current => runner.messages().current(&key),
        }
    }
}

fn custom_entries(value: &Json) -> Result<Vec<Custom>, HookError> {
    let entries = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(entries) => entries,
        other => return Err(wrong("custom_cfg", "a list of dicts", other)),
    };
    let custom = entries.iter().map(custom_entry).collect::<Result<Vec<_>, _>>()?;
    for (index, entry) in custom.iter().enumerate() {
        if custom[..index].iter().any(|other| other.name == entry.name) {
            return Err(HookError::fatal(format!(
                "log_processor.custom_cfg: two entries are logged as {} (give one of them another log_name)",
                entry.name
            )));
        }
    }
    Ok(custom)
}

fn custom_entry(value: &Json) -> Result<Custom, HookError> {
    let key = |name: &str| format!("custom_cfg.{name}");
    const KEYS: [&str; 4] = ["data_src", "method_name", "log_name", "window_size"];
    let unknown =
        value.as_object().and_then(|map| map.keys().find(|key| !KEYS.contains(&key.as_str())));
    if let Some(unknown) = unknown {
        let near =
            nearest(unknown, KEYS).map_or(String::new(), |near| format!(", did you mean {near}?"));
        return Err(HookError::fatal(format!(
            "log_processor.custom_cfg.{unknown}: unknown (the keys are {}{near})",
            KEYS.join(", ")
        )));
    }
    let Some(source) = value["data_src"].as_str() else {
        return Err(wrong(&key("data_src"), "a scalar's name", &value["data_src"]));
    };
    let statistic = match value["method_name"].as_str() {
        Some("mean") => Statistic::Mean,
        Some("min") => Statistic::Min,
        Some("max") => Statistic::Max,
        Some("current") => Statistic::Current,
        _ => {
            let expected = "\"mean\", \"min\", \"max\" or \"current\"";
            return Err(wrong(&key("method_name"), expected, &value["method_name"]));
        }
    };
    let window = match &value["window_size"] {
        Json::Null => Window::All,
        Json::String(word) if word == "epoch" => Window::Epoch,
        Json::String(word) if word == "global" => Window::Run,
        number => Window::Values(count(&key("window_size"), number)?),
    };
    let name = value["log_name"].as_str().unwrap_or(source).to_owned();
    Ok(Custom { source: source.to_owned(), name, statistic, window })
}

fn count(key: &str, value: &Json) -> Result<u64, HookError> {
    let number = value.as_u64().filter(|number| *number > 0);
    number.ok_or_else(|| wrong(key, "a whole number of at least 1", value))
}

fn digits(key: &str, value: &Json) -> Result<usize, HookError> {
    let number = value.as_u64().filter(|number| *number <= 17);
    number.map(|number| number as usize).ok_or_else(|| wrong(key, "a number from 0 to 17", value))
}

fn truth(key: &str, value: &Json) -> Result<bool, HookError> {
    value.as_bool().ok_or_else(|| wrong(key, "True or False", value))
}

fn pattern(key: &str, value: &Json) -> Result<Regex, HookError> {
    let Some(text) = value.as_str() else {
        return Err(wrong(key, "a regular expression", value));
    };
    Regex::new(text).map_err(|error| {
        HookError::fatal(format!(
            "log_processor.{key}: expected a regular expression, found {value} ({error})"
        ))
    })
}

fn unknown(key: &str) -> HookError {
    HookError::fatal(format!(
        "log_processor.{key}: unknown (the keys are window_size, by_epoch, custom_cfg, num_digits, \
         log_with_hierarchy and mean_pattern)"
    ))
}

fn wrong(key: &str, expected: &str, found: &Json) -> HookError {
    let dot = if key.is_empty() { "" } else { "." };
    HookError::fatal(format!("log_processor{dot}{key}: expected {expected}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_sections_are_named() {
        let text = |section: Json| LogProcessor::from_config(&section).unwrap_err().message.clone();
        let twice = json!({ "custom_cfg": [
            { "data_src": "loss", "method_name": "mean" }, { "data_src": "loss", "method_name": "max" },
        ] });
        for (section, expected) in [
            (json!([]), "log_processor: expected a dict, found []"),
            (json!({ "window_size": 0 }), "window_size: expected a whole number of at least 1"),
            (json!({ "window": 5 }), "log_processor.window: unknown (the keys are"),
            (json!({ "mean_pattern": "(" }), "mean_pattern: expected a regular expression"),
            (twice, "two entries are logged as loss"),
            (
                json!({ "by_epoch": false, "custom_cfg": [
                    { "data_src": "loss", "method_name": "max", "window_size": "epoch" },
                ] }),
                "needs by_epoch=True",
            ),
        ] {
            let found = text(section);
            assert!(found.contains(expected), "{found}");
        }
    }
}
