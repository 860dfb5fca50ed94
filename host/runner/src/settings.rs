//! The parts of a resolved config that the runner itself reads. Knows nothing of models or data.

use std::path::PathBuf;

use serde_json::Value as Json;
use snaphook_components::run::{EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, ValLoop};
use snaphook_components::{Role, read, type_name};

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
    /// Source: `EpochBasedTrainLoop` and `IterBasedTrainLoop` in `mmengine/runner/loops.py`; without `type`, `by_epoch`
    /// chooses, or which of `max_epochs` and `max_iters` is there.
    ///
    /// Errors: an unknown loop or key, a missing or wrong number.
    pub fn from_config(config: &Json) -> Result<TrainSettings, RunError> {
        let section = &config[TRAIN];
        if section.is_null() {
            let message = "missing (say train_cfg = dict(max_epochs=12))";
            return Err(RunError::config(TRAIN, message));
        }
        if type_name(Role::TrainLoop, section, TRAIN)? == "IterBasedTrainLoop" {
            let declared: IterBasedTrainLoop = read(section, TRAIN)?;
            return Ok(TrainSettings {
                length: Length::Iterations(declared.max_iters),
                val_begin: declared.val_begin,
                val_interval: declared.val_interval,
                dynamic_intervals: rising(declared.dynamic_intervals)?,
            });
        }
        let declared: EpochBasedTrainLoop = read(section, TRAIN)?;
        Ok(TrainSettings {
            length: Length::Epochs(declared.max_epochs),
            val_begin: declared.val_begin,
            val_interval: declared.val_interval,
            dynamic_intervals: rising(declared.dynamic_intervals)?,
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

const TRAIN: &str = "train_cfg";

/// Errors: an interval of 0, or moments that do not rise, of which MMEngine makes something else than they say.
fn rising(intervals: Option<Vec<(u64, u64)>>) -> Result<Vec<(u64, u64)>, RunError> {
    let intervals = intervals.unwrap_or_default();
    let key = format!("{TRAIN}.dynamic_intervals");
    if intervals.iter().any(|(_, interval)| *interval == 0) {
        return Err(RunError::config(key, "expected intervals of at least 1, found 0"));
    }
    if intervals.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        let message =
            format!("expected moments that rise, found {intervals:?} (put them in order)");
        return Err(RunError::config(key, message));
    }
    Ok(intervals)
}

/// How validations and tests are made: `val_cfg` and `test_cfg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvalSettings {
    /// Whether a validation computes the losses on its data as well.
    pub loss: bool,
    /// Whether a validation predicts in half precision.
    pub val_fp16: bool,
    /// Whether a test does.
    pub test_fp16: bool,
}

impl EvalSettings {
    /// Reads both; a config without them has the defaults. `loss` is a key of ours.
    ///
    /// Errors: an unknown loop or key.
    pub fn from_config(config: &Json) -> Result<EvalSettings, RunError> {
        let mut settings = EvalSettings::default();
        let is_removed = config.get("val_cfg").is_some_and(Json::is_null);
        if is_removed && !config["val_dataloader"].is_null() {
            let text = "expected a dict beside val_dataloader, found None (a training without validation has None for \
                        val_dataloader, val_evaluator and val_cfg)";
            return Err(RunError::config("val_cfg", text));
        }
        if !config["val_cfg"].is_null() {
            let declared: ValLoop = read(&config["val_cfg"], "val_cfg")?;
            settings.loss = declared.loss;
            settings.val_fp16 = declared.fp16;
        }
        if !config["test_cfg"].is_null() {
            let declared: TestLoop = read(&config["test_cfg"], "test_cfg")?;
            settings.test_fp16 = declared.fp16;
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
            json!({"type": "IterBasedTrainLoop", "max_iters": 90000}),
            json!({"by_epoch": false, "max_iters": 90000}),
            json!({"max_iters": 90000}),
        ] {
            let settings = read(section).unwrap();
            assert_eq!((settings.length, settings.val_interval), (Length::Iterations(90000), 1000));
            assert_eq!(settings.limits(7), (1, 90000));
        }
        let text = read(json!({"by_epoch": false, "max_epochs": 3})).unwrap_err().to_string();
        assert!(
            text.starts_with("train_cfg.max_epochs: unknown key of IterBasedTrainLoop"),
            "{text}"
        );
    }

    #[test]
    fn wrong_numbers_are_named() {
        let config = json!({"train_cfg": {"max_epochs": "many"}});
        let text = TrainSettings::from_config(&config).unwrap_err().to_string();
        assert!(text.starts_with("train_cfg.max_epochs: expected"), "{text}");
        assert!(text.ends_with("found \"many\""), "{text}");
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
