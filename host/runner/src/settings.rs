//! The parts of a resolved config that the runner itself reads. Knows nothing of models or data.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use crate::RunError;

/// When and how long to train and validate: `train_cfg`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Epochs of the run.
    pub max_epochs: u64,
    /// The first epoch (from 1) after which a validation may run.
    pub val_begin: u64,
    /// Epochs between validations.
    pub val_interval: u64,
    /// `(epoch, interval)`: from that epoch (from 1 by MMEngine's rule) on, another interval.
    pub dynamic_intervals: Vec<(u64, u64)>,
}

impl TrainSettings {
    /// Reads `train_cfg`.
    ///
    /// Errors: another loop than `EpochBasedTrainLoop`, a missing or wrong number.
    pub fn from_config(config: &Json) -> Result<TrainSettings, RunError> {
        let section = &config["train_cfg"];
        let Some(map) = section.as_object() else {
            return Err(RunError::config(
                "train_cfg",
                "missing (say train_cfg = dict(max_epochs=12))",
            ));
        };
        check_loop(map)?;
        Ok(TrainSettings {
            max_epochs: number(map, "max_epochs", None)?,
            val_begin: number(map, "val_begin", Some(1))?,
            val_interval: number(map, "val_interval", Some(1))?,
            dynamic_intervals: dynamic_intervals(&section["dynamic_intervals"])?,
        })
    }

    /// The validation interval in force when `epoch` epochs are finished.
    ///
    /// Source: `calc_dynamic_intervals` and `_decide_current_val_interval` in `mmengine/runner`.
    pub fn interval_at(&self, epoch: u64) -> u64 {
        let mut reached = self.dynamic_intervals.iter().filter(|(from, _)| epoch + 1 >= *from);
        reached.next_back().map_or(self.val_interval, |(_, interval)| *interval)
    }

    /// Whether a validation follows, now that `epoch` epochs are finished.
    pub fn is_validation_due(&self, epoch: u64) -> bool {
        let interval = self.interval_at(epoch).max(1);
        epoch >= self.val_begin && (epoch.is_multiple_of(interval) || epoch == self.max_epochs)
    }
}

fn check_loop(map: &Map<String, Json>) -> Result<(), RunError> {
    match map.get("type").and_then(Json::as_str) {
        None | Some("EpochBasedTrainLoop" | "mmengine.EpochBasedTrainLoop") => {}
        Some(other) => {
            let message =
                format!("found \"{other}\", this version trains with EpochBasedTrainLoop only");
            return Err(RunError::config("train_cfg.type", message));
        }
    }
    if map.get("by_epoch") == Some(&Json::Bool(false)) {
        let message = "false asks for an iteration-based loop, this version trains by epochs only";
        return Err(RunError::config("train_cfg.by_epoch", message));
    }
    Ok(())
}

fn number(map: &Map<String, Json>, key: &str, default: Option<u64>) -> Result<u64, RunError> {
    match (map.get(key), default) {
        (None, Some(default)) => Ok(default),
        (Some(value), _) if value.as_u64().is_some_and(|found| found > 0) => {
            Ok(value.as_u64().unwrap_or(1))
        }
        (found, _) => {
            let found = found.map_or("nothing".to_owned(), Json::to_string);
            let message = format!("expected a whole number of at least 1, found {found}");
            Err(RunError::config(format!("train_cfg.{key}"), message))
        }
    }
}

fn dynamic_intervals(value: &Json) -> Result<Vec<(u64, u64)>, RunError> {
    let pair = |item: &Json| Some((item.get(0)?.as_u64()?, item.get(1)?.as_u64()?));
    match value {
        Json::Null => Some(Vec::new()),
        Json::Array(items) => items.iter().map(pair).collect::<Option<Vec<_>>>(),
        _ => None,
    }
    .ok_or_else(|| {
        let message = format!("expected a list of (epoch, interval), found {value}");
        RunError::config("train_cfg.dynamic_intervals", message)
    })
    .map(|mut pairs: Vec<(u64, u64)>| {
        pairs.sort_unstable();
        pairs
    })
}

/// Where weights come from when a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The model's own initialisation.
    Fresh,
    /// Weights only, from this checkpoint: `load_from`.
    Weights(PathBuf),
    /// Everything, from this checkpoint.
    Resume(PathBuf),
    /// Everything, from the newest whole checkpoint of the work folder; fresh when there is none.
    ResumeLast,
}

impl Start {
    /// Reads `resume` and `load_from` by MMEngine's rules: `resume=True` with `load_from` resumes that
    /// file, without it the last one; `load_from` alone gives weights.
    pub fn from_config(config: &Json) -> Start {
        let load_from = config["load_from"].as_str().map(PathBuf::from);
        match (&config["resume"], load_from) {
            (Json::String(path), _) => Start::Resume(path.into()),
            (Json::Bool(true), Some(path)) => Start::Resume(path),
            (Json::Bool(true), None) => Start::ResumeLast,
            (_, Some(path)) => Start::Weights(path),
            _ => Start::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dynamic_intervals_change_from_the_epoch_on_that_they_name() {
        let config = json!({"train_cfg": {"max_epochs": 30, "val_interval": 5, "dynamic_intervals": [[25, 1]]}});
        let settings = TrainSettings::from_config(&config).unwrap();
        let due: Vec<_> = (1..=30).filter(|epoch| settings.is_validation_due(*epoch)).collect();
        assert_eq!(due, [5, 10, 15, 20, 24, 25, 26, 27, 28, 29, 30]);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let config = json!({"train_cfg": {"max_epochs": "many"}});
        let text = TrainSettings::from_config(&config).unwrap_err().to_string();
        assert_eq!(
            text,
            "train_cfg.max_epochs: expected a whole number of at least 1, found \"many\""
        );
    }

    #[test]
    fn resume_wins_over_load_from() {
        assert_eq!(
            Start::from_config(&json!({"resume": true, "load_from": null})),
            Start::ResumeLast
        );
        assert_eq!(
            Start::from_config(&json!({"resume": true, "load_from": "a"})),
            Start::Resume("a".into())
        );
        assert_eq!(
            Start::from_config(&json!({"resume": false, "load_from": "a"})),
            Start::Weights("a".into())
        );
    }
}
