//! Schedules that end before the run does, or begin after it. Knows nothing of their values.

use serde_json::Value as Json;
use snaphook_config::Config;

use super::Finding;

/// One entry of `param_scheduler`.
struct Scheduler<'a> {
    key: String,
    value: &'a Json,
}

/// How long a run is, in what its schedules count.
#[derive(Clone, Copy)]
struct Length {
    count: u64,
    unit: &'static str,
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.count, self.unit)
    }
}

/// Epochs of a run that counts epochs are known here, and iterations of one that counts these; how many
/// iterations an epoch has is known when data is loaded only.
pub(crate) fn check_schedule(config: &Config) -> Vec<Finding> {
    let number = |key: &str| config.get(&format!("train_cfg.{key}")).and_then(Json::as_u64);
    let (length, by_epoch) = match (number("max_epochs"), number("max_iters")) {
        (Some(count), _) => (Length { count, unit: "epochs" }, true),
        (None, Some(count)) => (Length { count, unit: "iterations" }, false),
        (None, None) => return Vec::new(),
    };
    let schedulers = schedulers(config, by_epoch);
    let mut findings: Vec<Finding> =
        schedulers.iter().flat_map(|scheduler| scheduler.findings(length)).collect();
    findings.extend(end_of_all(&schedulers, length));
    findings.extend(validation(config, length));
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

/// The schedules that count epochs, or those that count iterations.
fn schedulers(config: &Config, by_epoch: bool) -> Vec<Scheduler<'_>> {
    let all: Vec<Scheduler<'_>> = match config.get("param_scheduler") {
        Some(Json::Array(items)) => {
            let key = |index| format!("param_scheduler.{index}");
            let entry = |(index, value)| Scheduler { key: key(index), value };
            items.iter().enumerate().map(entry).collect()
        }
        Some(value @ Json::Object(_)) => {
            vec![Scheduler { key: "param_scheduler".to_owned(), value }]
        }
        _ => Vec::new(),
    };
    let counts_so =
        |scheduler: &Scheduler<'_>| (scheduler.value["by_epoch"] != Json::Bool(false)) == by_epoch;
    all.into_iter().filter(counts_so).collect()
}

impl Scheduler<'_> {
    fn findings(&self, length: Length) -> Vec<Finding> {
        let key = |name: &str| format!("{}.{name}", self.key);
        let mut findings = Vec::new();
        if let Some(begin) = self.value["begin"].as_u64().filter(|begin| *begin >= length.count) {
            let message = format!("never begins: the run has {length}, found {begin}");
            findings.push(Finding::warning("schedule", key("begin"), message));
        }
        let milestones = self.value["milestones"].as_array().into_iter().flatten();
        let late: Vec<u64> = milestones
            .filter_map(Json::as_u64)
            .filter(|milestone| *milestone >= length.count)
            .collect();
        if !late.is_empty() {
            let message = format!(
                "{} is never reached: the run has {length}",
                late.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            );
            findings.push(Finding::warning("schedule", key("milestones"), message));
        }
        let is_late = !findings.is_empty();
        if let Some(end) = self.value["end"].as_u64().filter(|end| *end > length.count && !is_late)
        {
            let message = format!("ends after the run, which has {length}: found {end}");
            findings.push(Finding::warning("schedule", key("end"), message));
        }
        findings
    }

    /// Where it ends; without a word of its own it goes on to the end.
    fn end(&self) -> Option<u64> {
        self.value["end"].as_u64()
    }
}

/// When the last schedule ends before the run does, the rest goes on with what it left.
fn end_of_all(schedulers: &[Scheduler<'_>], length: Length) -> Option<Finding> {
    let ends: Option<Vec<(u64, &str)>> =
        schedulers.iter().map(|s| Some((s.end()?, s.key.as_str()))).collect();
    let (end, key) = ends?.into_iter().max().filter(|(end, _)| *end < length.count)?;
    let message = format!(
        "the last schedule ends at {end}, the run goes on to {length}: what it leaves stays (is the run's \
         length changed without the schedules?)"
    );
    Some(Finding::warning("schedule", format!("{key}.end"), message))
}

fn validation(config: &Config, length: Length) -> Option<Finding> {
    let interval = config.get("train_cfg.val_interval").and_then(Json::as_u64)?;
    config.get("val_dataloader").filter(|value| !value.is_null())?;
    let message = format!("the only validation is at the end of {length}, found {interval}");
    let key = "train_cfg.val_interval";
    (interval > length.count).then(|| Finding::warning("schedule", key, message))
}
