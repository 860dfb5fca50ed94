//! Hooks that cannot be had, and hooks that fight over one thing. Knows nothing of how plugins are found.

use serde_json::Value as Json;
use snaphook_config::Config;

use super::finding::locate;
use super::{Finding, Mark};
use crate::plan::{HookPlan, HookTypes, PlanProblem, PlannedHook};

pub(crate) fn check_hooks(config: &Config, types: &dyn HookTypes) -> Vec<Finding> {
    let (plan, problems) = HookPlan::look(config, types);
    let findings = problems.into_iter().map(|problem| finding(config, problem));
    findings.chain(fights(config, &plan)).chain(log_processor(config)).collect()
}

/// The section that the logger reads. Its unknown keys are told by the look at components.
fn log_processor(config: &Config) -> Option<Finding> {
    let error = snaphook_hooks::check_log_processor(config.get("log_processor")?).err()?;
    let (key, message) = error.message.split_once(": ")?;
    (!message.starts_with("unknown"))
        .then(|| Finding::error("value", key, message.to_owned()).placed(config))
}

/// A problem with its whole key path: `custom_hooks.0.interval`, not `custom_hooks.0: SomeHook.interval`.
fn finding(config: &Config, problem: PlanProblem) -> Finding {
    let location = problem.location.or_else(|| locate(config, &problem.key));
    let argument = problem.message.split_once(": ").and_then(|(path, message)| {
        let (owner, argument) = path.rsplit_once('.')?;
        let is_name = |text: &str| !text.is_empty() && !text.contains([' ', '\'', '"', '/']);
        (is_name(owner) && is_name(argument))
            .then(|| (format!("{}.{argument}", problem.key), message))
    });
    let (key, message) = match &argument {
        Some((key, message)) => (key.clone(), (*message).to_owned()),
        None => (problem.key.clone(), problem.message.clone()),
    };
    let is_unknown = message.contains("found an unknown argument");
    let mark = if is_unknown { Mark::Key } else { Mark::Value };
    Finding { location, ..Finding::error("hook", key, message) }.marked(mark)
}

fn fights(config: &Config, plan: &HookPlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hooks: Vec<&PlannedHook> = plan.hooks.iter().collect();
    for (index, hook) in hooks.iter().enumerate() {
        let earlier = hooks[..index].iter().filter(|other| other.found.name == hook.found.name);
        for other in earlier {
            findings.extend(fight(hook, other));
        }
        findings.extend(alone(config, hook));
    }
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

/// What is wrong with two hooks of one type.
fn fight(hook: &PlannedHook, other: &PlannedHook) -> Option<Finding> {
    let (key, first) = (&hook.spec.key, &other.spec.key);
    let same = |argument: &str| hook.spec.kwargs[argument] == other.spec.kwargs[argument];
    match hook.found.name.as_str() {
        "EMAHook" => {
            let message = format!(
                "a second average of the weights, beside {first}: both would swap the \
                                   same weights (keep one)"
            );
            Some(Finding::error("fight", key, message))
        }
        "ParamSchedulerHook" => {
            let message = format!("steps all schedules a second time, after {first} (keep one)");
            Some(Finding::error("fight", key, message))
        }
        "CheckpointHook" if same("out_dir") && same("filename_tmpl") => {
            let message = format!(
                "saves into the folder that {first} saves into, under the same names, and \
                                   removes what that one keeps (give it an out_dir, or keep one)"
            );
            Some(Finding::warning("fight", key, message))
        }
        "LoggerHook" | "RuntimeInfoHook" | "IterTimerHook" => {
            let message = format!("does what {first} does already, a second time (keep one)");
            Some(Finding::warning("fight", key, message))
        }
        _ => None,
    }
}

/// What is wrong with a hook in this config.
fn alone(config: &Config, hook: &PlannedHook) -> Option<Finding> {
    let epochs = config.get("train_cfg.max_epochs").and_then(Json::as_u64);
    let number = |name: &str| argument(hook, name).as_u64();
    match hook.found.name.as_str() {
        "YOLOXModeSwitchHook" => mode_switch(config, hook, epochs),
        "EMAHook" => {
            let begin =
                number("begin_epoch").filter(|begin| epochs.is_some_and(|all| *begin > all))?;
            let message = format!("never begins: the run has {} epochs, found {begin}", epochs?);
            Some(Finding::warning("schedule", format!("{}.begin_epoch", hook.spec.key), message))
        }
        "CheckpointHook" => {
            let is_best = !argument(hook, "save_best").is_null();
            let has_validation = config.get("val_dataloader").is_some_and(|value| !value.is_null());
            let message = "no best checkpoint is ever found: there is no val_dataloader";
            let key = format!("{}.save_best", hook.spec.key);
            (is_best && !has_validation).then(|| Finding::warning("hook", key, message))
        }
        _ => None,
    }
}

/// A keyword argument, or its default.
fn argument(hook: &PlannedHook, name: &str) -> Json {
    match &hook.spec.kwargs[name] {
        Json::Null => hook.found.kwargs_schema["properties"][name]["default"].clone(),
        given => given.clone(),
    }
}

/// `YOLOXModeSwitchHook` needs transforms to leave out and a head with an L1 loss to turn on.
fn mode_switch(config: &Config, hook: &PlannedHook, epochs: Option<u64>) -> Option<Finding> {
    let head = config.get("model.bbox_head.type").and_then(Json::as_str).unwrap_or_default();
    if snaphook_components::plain_type(head) != "YOLOXHead" {
        let message = format!(
            "turns on an L1 loss that only YOLOXHead has, model.bbox_head is {head:?} (leave it out)"
        );
        return Some(Finding::error("fight", &hook.spec.key, message));
    }
    let skipped = argument(hook, "skip_type_keys");
    let skipped: Vec<&str> =
        skipped.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut used = Vec::new();
    types_of_transforms(config.get("train_dataloader.dataset")?, &mut used);
    let plain = snaphook_components::plain_type;
    if !skipped.iter().any(|skipped| used.iter().any(|used| plain(used) == plain(skipped))) {
        let message = format!(
            "there is nothing to switch off: train_dataloader has none of {} (it is for a \
             MultiImageMixDataset with these)",
            skipped.join(", ")
        );
        return Some(Finding::warning("fight", &hook.spec.key, message));
    }
    let last = argument(hook, "num_last_epochs").as_u64()?;
    let all = epochs.filter(|all| last >= *all)?;
    let message =
        format!("switches before the first epoch: the run has {all} epochs, found {last}");
    Some(Finding::warning("schedule", format!("{}.num_last_epochs", hook.spec.key), message))
}

/// The types in all pipelines of a data set and of what it wraps.
fn types_of_transforms<'a>(dataset: &'a Json, types: &mut Vec<&'a str>) {
    let steps = dataset["pipeline"].as_array().into_iter().flatten();
    types.extend(steps.filter_map(|step| step["type"].as_str()));
    if dataset["dataset"].is_object() {
        types_of_transforms(&dataset["dataset"], types);
    }
    dataset["datasets"]
        .as_array()
        .into_iter()
        .flatten()
        .for_each(|part| types_of_transforms(part, types));
}
