//! The parts of a resolved config that the runner itself reads. Knows nothing of models or data.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use crate::RunError;

/// How long a run trains, and what its loop counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// `EpochBasedTrainLoop`: so many times through the data.
    Epochs(u64),
    /// `IterBasedTrainLoop`: so many iterations, as if they were one epoch.
    Iterations(u64),
}

/// When and how long to train and validate: `train_cfg`. Numbers are epochs or iterations, as the loop counts.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// The loop, with its end.
    pub length: Length,
    /// The first epoch or iteration (from 1) after which a validation may run.
    pub val_begin: u64,
    /// Epochs or iterations between validations.
    pub val_interval: u64,
    /// `(from, interval)`: from that epoch or iteration (from 1 by MMEngine's rule) on, another interval.
    pub dynamic_intervals: Vec<(u64, u64)>,
}

impl TrainSettings {
    /// Reads `train_cfg`.
    ///
    /// Source: the arguments of `EpochBasedTrainLoop` and `IterBasedTrainLoop` in `mmengine/runner/loops.py`; without
    /// `type`, `by_epoch` chooses (true where it is not given, which MMEngine refuses).
    ///
    /// Errors: an unknown loop or key, a missing or wrong number.
    pub fn from_config(config: &Json) -> Result<TrainSettings, RunError> {
        let section = &config["train_cfg"];
        let Some(map) = section.as_object() else {
            return Err(RunError::config(
                "train_cfg",
                "missing (say train_cfg = dict(max_epochs=12))",
            ));
        };
        let is_by_epoch = is_by_epoch(map)?;
        let (end, default_interval) = if is_by_epoch { (EPOCHS, 1) } else { (ITERATIONS, 1000) };
        check_keys(map, end)?;
        let last = number(map, end, None)?;
        Ok(TrainSettings {
            length: if is_by_epoch { Length::Epochs(last) } else { Length::Iterations(last) },
            val_begin: number(map, "val_begin", Some(1))?,
            val_interval: number(map, "val_interval", Some(default_interval))?,
            dynamic_intervals: dynamic_intervals(&section["dynamic_intervals"])?,
        })
    }

    /// Epochs and iterations of the run, for data of so many batches.
    ///
    /// Source: `max_epochs` and `max_iters` of MMEngine's loops; an iteration-based run is one epoch.
    pub fn limits(&self, batches: u64) -> (u64, u64) {
        match self.length {
            Length::Epochs(epochs) => (epochs, epochs * batches),
            Length::Iterations(iterations) => (1, iterations),
        }
    }

    /// The number of the last epoch or iteration.
    pub fn last(&self) -> u64 {
        match self.length {
            Length::Epochs(last) | Length::Iterations(last) => last,
        }
    }

    /// The validation interval in force when so many epochs or iterations are finished.
    ///
    /// Source: `calc_dynamic_intervals` and `_decide_current_val_interval` in `mmengine/runner`.
    pub fn interval_at(&self, finished: u64) -> u64 {
        let mut reached = self.dynamic_intervals.iter().filter(|(from, _)| finished + 1 >= *from);
        reached.next_back().map_or(self.val_interval, |(_, interval)| *interval)
    }

    /// Whether a validation follows, now that so many epochs or iterations are finished.
    pub fn is_validation_due(&self, finished: u64) -> bool {
        let interval = self.interval_at(finished).max(1);
        finished >= self.val_begin && (finished.is_multiple_of(interval) || finished == self.last())
    }
}

const EPOCHS: &str = "max_epochs";
const ITERATIONS: &str = "max_iters";

fn is_by_epoch(map: &Map<String, Json>) -> Result<bool, RunError> {
    let by_epoch = match map.get("by_epoch") {
        None => None,
        Some(Json::Bool(by_epoch)) => Some(*by_epoch),
        Some(other) => {
            let message = format!("expected True or False, found {other}");
            return Err(RunError::config("train_cfg.by_epoch", message));
        }
    };
    let name = map.get("type").and_then(Json::as_str);
    match name.map(|name| name.rsplit('.').next().unwrap_or(name)) {
        None => Ok(by_epoch.unwrap_or(!map.contains_key(ITERATIONS))),
        Some("EpochBasedTrainLoop") => Ok(true),
        Some("IterBasedTrainLoop") => Ok(false),
        Some(other) => {
            let message =
                format!("expected EpochBasedTrainLoop or IterBasedTrainLoop, found \"{other}\"");
            Err(RunError::config("train_cfg.type", message))
        }
    }
}

fn check_keys(map: &Map<String, Json>, end: &str) -> Result<(), RunError> {
    let known = ["type", "by_epoch", end, "val_begin", "val_interval", "dynamic_intervals"];
    let name = if end == EPOCHS { "EpochBasedTrainLoop" } else { "IterBasedTrainLoop" };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let message = format!("unknown ({name} knows {})", known[2..].join(", "));
            Err(RunError::config(format!("train_cfg.{key}"), message))
        }
    }
}

fn number(map: &Map<String, Json>, key: &str, default: Option<u64>) -> Result<u64, RunError> {
    match (map.get(key), default) {
        (None, Some(default)) => Ok(default),
        (Some(value), _) if whole(value).is_some_and(|found| found > 0) => {
            Ok(whole(value).unwrap_or(1))
        }
        (found, _) => {
            let found = found.map_or("nothing".to_owned(), Json::to_string);
            let message = format!("expected a whole number of at least 1, found {found}");
            Err(RunError::config(format!("train_cfg.{key}"), message))
        }
    }
}

/// A whole number; 90e3 is one, as for MMEngine.
fn whole(value: &Json) -> Option<u64> {
    let float =
        || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float));
    value.as_u64().or_else(|| float().map(|float| float as u64))
}

fn dynamic_intervals(value: &Json) -> Result<Vec<(u64, u64)>, RunError> {
    let pair = |item: &Json| Some((item.get(0)?.as_u64()?, item.get(1)?.as_u64()?));
    match value {
        Json::Null => Some(Vec::new()),
        Json::Array(items) => items.iter().map(pair).collect::<Option<Vec<_>>>(),
        _ => None,
    }
    .ok_or_else(|| {
        let message = format!("expected a list of (epoch or iteration, interval), found {value}");
        RunError::config("train_cfg.dynamic_intervals", message)
    })
    .map(|mut pairs: Vec<(u64, u64)>| {
        pairs.sort_unstable();
        pairs
    })
}

/// How validations are made: `val_cfg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationSettings {
    /// Whether the losses are computed on the validation data as well.
    pub loss: bool,
}

impl ValidationSettings {
    /// Reads `val_cfg`; a config without one has the defaults. `loss` is a key of ours.
    ///
    /// Errors: an unknown loop or key, `fp16=True`.
    pub fn from_config(config: &Json) -> Result<ValidationSettings, RunError> {
        let wrong =
            |key: &str, message: String| RunError::config(format!("val_cfg.{key}"), message);
        let empty = Map::new();
        let map = match &config["val_cfg"] {
            Json::Null => &empty,
            Json::Object(map) => map,
            other => {
                return Err(RunError::config("val_cfg", format!("expected a dict, found {other}")));
            }
        };
        let mut settings = ValidationSettings::default();
        for (key, value) in map {
            match (key.as_str(), value) {
                ("type", Json::String(name)) if name.rsplit('.').next() == Some("ValLoop") => {}
                ("type", other) => {
                    return Err(wrong("type", format!("expected ValLoop, found {other}")));
                }
                ("loss", Json::Bool(loss)) => settings.loss = *loss,
                ("fp16", Json::Bool(false)) => {}
                ("fp16", Json::Bool(true)) => {
                    let message = "found True, this version validates in 32 bits only";
                    return Err(wrong(key, message.to_owned()));
                }
                ("loss" | "fp16", other) => {
                    return Err(wrong(key, format!("expected True or False, found {other}")));
                }
                _ => return Err(wrong(key, "unknown (a ValLoop knows loss, fp16)".to_owned())),
            }
        }
        Ok(settings)
    }
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
    fn an_iteration_loop_is_told_by_its_type_its_flag_or_its_end() {
        let read = |section: Json| TrainSettings::from_config(&json!({"train_cfg": section}));
        for section in [
            json!({"type": "IterBasedTrainLoop", "max_iters": 9e4}),
            json!({"by_epoch": false, "max_iters": 90000}),
            json!({"max_iters": 90000}),
        ] {
            let settings = read(section).unwrap();
            assert_eq!((settings.length, settings.val_interval), (Length::Iterations(90000), 1000));
            assert_eq!(settings.limits(7), (1, 90000));
        }
        let text = read(json!({"by_epoch": false, "max_epochs": 3})).unwrap_err().to_string();
        assert!(
            text.starts_with("train_cfg.max_epochs: unknown (IterBasedTrainLoop knows max_iters"),
            "{text}"
        );
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
