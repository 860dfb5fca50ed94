//! Reads `default_hooks` and `custom_hooks` of a config. Knows nothing of which hooks exist.

use serde_json::{Map, Value as Json, json};

use std::time::Duration;

use crate::{HookDeadline, HookPolicy, OnError, Priority};

/// A hook as the config asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct HookSpec {
    /// Where it stands: `custom_hooks.0`.
    pub key: String,
    /// As written: `CheckInvalidLossHook`, `mmdet.SyncNormHook`, `plugin-name:Type`.
    pub type_name: String,
    /// `priority`; without it the hook's own default.
    pub priority: Option<Priority>,
    /// `on_error`, `deadline_s` and `on_deadline`.
    pub policy: HookPolicy,
    /// The other keys.
    pub kwargs: Json,
}

/// A hook section that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SpecError {
    /// Dotted key.
    pub key: String,
    /// Expected, found, way out.
    pub message: String,
}

/// The hooks that every run has: their names in `default_hooks`, and their types.
pub const DEFAULT_HOOKS: [(&str, &str); 6] = [
    ("runtime_info", "RuntimeInfoHook"),
    ("timer", "IterTimerHook"),
    ("sampler_seed", "DistSamplerSeedHook"),
    ("logger", "LoggerHook"),
    ("param_scheduler", "ParamSchedulerHook"),
    ("checkpoint", "CheckpointHook"),
];

/// The hooks of a resolved config, in the order in which they are registered.
///
/// Source: `Runner.register_default_hooks` and `register_custom_hooks` of MMEngine; a default hook
/// without `type` keeps its type here, where MMEngine fails.
///
/// Errors: a section of the wrong kind, a missing type, a wrong priority.
pub fn hook_specs(config: &Json) -> Result<Vec<HookSpec>, SpecError> {
    let mut specs = Vec::new();
    let defaults = match &config["default_hooks"] {
        Json::Null => Map::new(),
        Json::Object(map) => map.clone(),
        other => return Err(wrong("default_hooks", "a dict of hooks", other)),
    };
    for (name, type_name) in DEFAULT_HOOKS {
        let key = format!("default_hooks.{name}");
        match defaults.get(name) {
            None => specs.push(read(&key, &unnamed(name), Some(type_name))?),
            Some(Json::Null) => {}
            Some(value) => specs.push(read(&key, value, Some(type_name))?),
        }
    }
    let known = |name: &str| DEFAULT_HOOKS.iter().any(|(default, _)| *default == name);
    for (name, value) in defaults.iter().filter(|(name, value)| !known(name) && !value.is_null()) {
        if name != "_scope_" {
            specs.push(read(&format!("default_hooks.{name}"), value, None)?);
        }
    }
    match &config["custom_hooks"] {
        Json::Null => {}
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                specs.push(read(&format!("custom_hooks.{index}"), value, None)?);
            }
        }
        other => return Err(wrong("custom_hooks", "a list of dicts", other)),
    }
    Ok(specs)
}

/// The kwargs of a default hook that the config does not name.
fn unnamed(name: &str) -> Json {
    if name == "checkpoint" { json!({ "interval": 1 }) } else { json!({}) }
}

fn read(key: &str, value: &Json, default_type: Option<&str>) -> Result<HookSpec, SpecError> {
    let Json::Object(map) = value else {
        return Err(wrong(key, "a dict with a type", value));
    };
    let mut kwargs = map.clone();
    kwargs.remove("_scope_");
    let type_name = match (kwargs.remove("type"), default_type) {
        (Some(Json::String(name)), _) => name,
        (None, Some(name)) => name.to_owned(),
        (found, _) => {
            return Err(wrong(
                &format!("{key}.type"),
                "a hook's name",
                &found.unwrap_or(Json::Null),
            ));
        }
    };
    let priority = kwargs.remove("priority").map(|value| priority(key, &value)).transpose()?;
    let on_error = kwargs.remove("on_error").map(|value| on_error(key, &value)).transpose()?;
    let deadline = deadline(key, kwargs.remove("deadline_s"), kwargs.remove("on_deadline"))?;
    let policy = HookPolicy { on_error: on_error.unwrap_or_default(), deadline };
    Ok(HookSpec { key: key.to_owned(), type_name, priority, policy, kwargs: Json::Object(kwargs) })
}

fn priority(key: &str, value: &Json) -> Result<Priority, SpecError> {
    let error = |message| SpecError { key: format!("{key}.priority"), message };
    match value {
        Json::String(name) => name.parse().map_err(error),
        _ => match value.as_i64() {
            Some(number @ 0..=100) => Ok(Priority(number)),
            _ => Err(error(format!(
                "expected a level's name or a number from 0 to 100, found {value}"
            ))),
        },
    }
}

fn on_error(key: &str, value: &Json) -> Result<OnError, SpecError> {
    match value.as_str() {
        Some("stop") => Ok(OnError::Stop),
        Some("disable") => Ok(OnError::Disable),
        Some("warn") => Ok(OnError::Warn),
        _ => Err(wrong(&format!("{key}.on_error"), "\"stop\", \"disable\" or \"warn\"", value)),
    }
}

/// No run waits longer for a hook than this.
const LONGEST_DEADLINE_S: f64 = 1e7;

fn deadline(
    key: &str,
    seconds: Option<Json>,
    what_then: Option<Json>,
) -> Result<Option<HookDeadline>, SpecError> {
    let stops_run = match what_then.as_ref().map(|value| (value.as_str(), value)) {
        None | Some((Some("warn"), _)) => false,
        Some((Some("stop"), _)) => true,
        Some((_, value)) => {
            return Err(wrong(&format!("{key}.on_deadline"), "\"warn\" or \"stop\"", value));
        }
    };
    let Some(seconds) = seconds.filter(|value| !value.is_null()) else {
        return match what_then {
            None => Ok(None),
            Some(_) => Err(wrong(
                &format!("{key}.deadline_s"),
                "a number of seconds beside on_deadline",
                &Json::Null,
            )),
        };
    };
    let number = seconds.as_f64().filter(|number| *number > 0.0 && *number <= LONGEST_DEADLINE_S);
    let number = number.ok_or_else(|| {
        wrong(&format!("{key}.deadline_s"), "a number of seconds above 0", &seconds)
    })?;
    Ok(Some(HookDeadline { after: Duration::from_secs_f64(number), stops_run }))
}

fn wrong(key: &str, expected: &str, found: &Json) -> SpecError {
    SpecError { key: key.to_owned(), message: format!("expected {expected}, found {found}") }
}

/// The type's name without MMEngine's scope or module path: `mmdet.SyncNormHook` is `SyncNormHook`.
pub fn plain_type(type_name: &str) -> &str {
    type_name.rsplit_once('.').map_or(type_name, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(config: &Json) -> Vec<String> {
        hook_specs(config).unwrap().into_iter().map(|spec| spec.type_name).collect()
    }

    #[test]
    fn none_removes_a_default_and_new_keys_come_after_the_six() {
        let config = json!({
            "default_hooks": { "visualization": { "type": "DetVisualizationHook" }, "timer": null },
            "custom_hooks": [{ "type": "TraceHook" }],
        });
        let expected = [
            "RuntimeInfoHook",
            "DistSamplerSeedHook",
            "LoggerHook",
            "ParamSchedulerHook",
            "CheckpointHook",
            "DetVisualizationHook",
            "TraceHook",
        ];
        assert_eq!(types(&config), expected);
    }

    #[test]
    fn a_checkpoint_hook_that_nobody_names_saves_every_epoch() {
        let kwargs = |config: Json| hook_specs(&config).unwrap().pop().unwrap().kwargs;
        assert_eq!(kwargs(json!({})), json!({ "interval": 1 }));
        let named = json!({ "default_hooks": { "checkpoint": { "type": "CheckpointHook" } } });
        assert_eq!(kwargs(named), json!({}));
    }

    #[test]
    fn priority_and_policy_are_not_kwargs() {
        let hook = json!({
            "type": "A", "priority": "LOW", "on_error": "warn", "deadline_s": 0.5, "on_deadline": "stop", "x": 1,
        });
        let specs = hook_specs(&json!({ "custom_hooks": [hook] })).unwrap();
        let spec = specs.last().unwrap();
        assert_eq!((spec.priority, spec.policy.on_error), (Some(Priority(70)), OnError::Warn));
        let deadline = HookDeadline { after: Duration::from_millis(500), stops_run: true };
        assert_eq!(spec.policy.deadline, Some(deadline));
        assert_eq!(spec.kwargs, json!({ "x": 1 }));
    }

    #[test]
    fn a_deadline_without_sense_is_named() {
        let text = |mut hook: Json| {
            hook["type"] = json!("A");
            hook_specs(&json!({ "custom_hooks": [hook] })).unwrap_err().to_string()
        };
        for seconds in [json!(0), json!(-1), json!("5"), json!(1e30)] {
            let text = text(json!({ "deadline_s": seconds }));
            assert!(text.starts_with("custom_hooks.0.deadline_s: expected a number"), "{text}");
        }
        assert!(text(json!({ "on_deadline": "warn" })).contains("seconds beside on_deadline"));
        let text = text(json!({ "deadline_s": 1, "on_deadline": "abort" }));
        assert_eq!(
            text,
            "custom_hooks.0.on_deadline: expected \"warn\" or \"stop\", found \"abort\""
        );
    }

    #[test]
    fn a_wrong_section_is_named() {
        let text = |config: Json| hook_specs(&config).unwrap_err().to_string();
        assert_eq!(
            text(json!({ "custom_hooks": { "type": "A" } })),
            "custom_hooks: expected a list of dicts, found {\"type\":\"A\"}"
        );
        assert!(
            text(json!({ "custom_hooks": ["A"] })).starts_with("custom_hooks.0: expected a dict")
        );
        assert!(
            text(json!({ "custom_hooks": [{ "type": "A", "priority": 1000 }] }))
                .starts_with("custom_hooks.0.priority: expected a level")
        );
    }
}
