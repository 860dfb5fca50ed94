//! Schedules that end before the run does, or begin after it. Knows nothing of their values.

use serde_json::Value as Json;
use snaphook_config::Config;

use super::Finding;

/// One entry of `param_scheduler` that counts epochs.
struct Scheduler<'a> {
    key: String,
    value: &'a Json,
}

pub(crate) fn check_schedule(config: &Config) -> Vec<Finding> {
    let Some(epochs) = config.get("train_cfg.max_epochs").and_then(Json::as_u64) else {
        return Vec::new();
    };
    let schedulers = by_epoch(config);
    let mut findings: Vec<Finding> =
        schedulers.iter().flat_map(|scheduler| scheduler.findings(epochs)).collect();
    findings.extend(end_of_all(&schedulers, epochs));
    findings.extend(validation(config, epochs));
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

fn by_epoch(config: &Config) -> Vec<Scheduler<'_>> {
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
    let counts_epochs =
        |scheduler: &Scheduler<'_>| scheduler.value["by_epoch"] != Json::Bool(false);
    all.into_iter().filter(counts_epochs).collect()
}

impl Scheduler<'_> {
    fn findings(&self, epochs: u64) -> Vec<Finding> {
        let key = |name: &str| format!("{}.{name}", self.key);
        let mut findings = Vec::new();
        if let Some(begin) = self.value["begin"].as_u64().filter(|begin| *begin >= epochs) {
            let message = format!("never begins: the run has {epochs} epochs, found {begin}");
            findings.push(Finding::warning("schedule", key("begin"), message));
        }
        let milestones = self.value["milestones"].as_array().into_iter().flatten();
        let late: Vec<u64> =
            milestones.filter_map(Json::as_u64).filter(|milestone| *milestone >= epochs).collect();
        if !late.is_empty() {
            let message = format!(
                "{} is never reached: the run has {epochs} epochs",
                late.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            );
            findings.push(Finding::warning("schedule", key("milestones"), message));
        }
        let is_late = !findings.is_empty();
        if let Some(end) = self.value["end"].as_u64().filter(|end| *end > epochs && !is_late) {
            let message = format!("ends after the run, which has {epochs} epochs: found {end}");
            findings.push(Finding::warning("schedule", key("end"), message));
        }
        findings
    }

    /// The epoch at which it ends; without a word of its own it goes on to the end.
    fn end(&self) -> Option<u64> {
        self.value["end"].as_u64()
    }
}

/// When the last schedule ends before the run does, the rest goes on with what it left.
fn end_of_all(schedulers: &[Scheduler<'_>], epochs: u64) -> Option<Finding> {
    let ends: Option<Vec<(u64, &str)>> =
        schedulers.iter().map(|s| Some((s.end()?, s.key.as_str()))).collect();
    let (end, key) = ends?.into_iter().max().filter(|(end, _)| *end < epochs)?;
    let message = format!(
        "the last schedule ends at epoch {end}, the run goes on to {epochs}: what it leaves stays (is \
         train_cfg.max_epochs changed without the schedules?)"
    );
    Some(Finding::warning("schedule", format!("{key}.end"), message))
}

fn validation(config: &Config, epochs: u64) -> Option<Finding> {
    let interval = config.get("train_cfg.val_interval").and_then(Json::as_u64)?;
    config.get("val_dataloader").filter(|value| !value.is_null())?;
    let message =
        format!("the only validation is after the last of {epochs} epochs, found {interval}");
    let key = "train_cfg.val_interval";
    (interval > epochs).then(|| Finding::warning("schedule", key, message))
}
