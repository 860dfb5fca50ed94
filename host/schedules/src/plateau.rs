//! Reduces values when a metric of the validation has stopped becoming better.
//! Knows nothing of configuration files or of other schedules.
//!
//! Source: MMEngine 0.10.7 `optim/scheduler/param_scheduler.py`, `ReduceOnPlateauParamScheduler`. Differs: the momentum
//! form works (MMEngine's cannot be called with metrics); a missing metric is told with the names of those that are there.

use serde_json::{Map, Value as Json, json};

use crate::{ParamGroups, Quantity, ScheduleError};

/// The worst metric that there is, as MMEngine has it.
const WORST: f64 = 1e9;

/// Which metrics are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    Greater,
}

/// By how much a metric must be better than the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Margin {
    Share(f64),
    Difference(f64),
}

/// The settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plateau {
    pub(crate) monitor: String,
    pub(crate) better: Better,
    pub(crate) factor: f64,
    pub(crate) patience: i64,
    pub(crate) margin: Margin,
    pub(crate) cooldown: i64,
    pub(crate) min_values: Vec<f64>,
    pub(crate) eps: f64,
}

impl Plateau {
    fn is_better(&self, metric: f64, best: f64) -> bool {
        match (self.better, self.margin) {
            (Better::Less, Margin::Share(share)) => metric < best * (1.0 - share),
            (Better::Less, Margin::Difference(difference)) => metric < best - difference,
            (Better::Greater, Margin::Share(share)) => metric > best * (share + 1.0),
            (Better::Greater, Margin::Difference(difference)) => metric > best + difference,
        }
    }
}

/// What has been seen so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlateauState {
    /// Epochs that are over.
    epochs: i64,
    validations: i64,
    best: f64,
    bad_validations: i64,
    cooldown_left: i64,
}

impl PlateauState {
    pub(crate) fn new(plateau: &Plateau) -> PlateauState {
        let best = if plateau.better == Better::Less { WORST } else { -WORST };
        PlateauState { epochs: 0, validations: -1, best, bad_validations: 0, cooldown_left: 0 }
    }

    /// An epoch is over.
    pub(crate) fn count_epoch(&mut self) {
        self.epochs += 1;
    }

    /// Takes in a validation between `begin` and `end` and returns whether the values are to be reduced.
    pub(crate) fn validated(
        &mut self,
        plateau: &Plateau,
        (begin, end): (i64, i64),
        metrics: &Map<String, Json>,
    ) -> Result<bool, ScheduleError> {
        if !(begin..end).contains(&self.epochs) {
            return Ok(false);
        }
        self.validations += 1;
        // JSON has no NaN: it comes as null, and is never better.
        let metric = metrics.get(&plateau.monitor);
        let metric = metric.and_then(|it| if it.is_null() { Some(f64::NAN) } else { it.as_f64() });
        let metric = metric.ok_or_else(|| ScheduleError::NoMetric {
            monitor: plateau.monitor.clone(),
            found: metrics.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        if plateau.is_better(metric, self.best) {
            (self.best, self.bad_validations) = (metric, 0);
        } else {
            self.bad_validations += 1;
        }
        if self.cooldown_left > 0 {
            self.cooldown_left -= 1;
            self.bad_validations = 0;
        }
        if self.bad_validations <= plateau.patience {
            return Ok(false);
        }
        (self.cooldown_left, self.bad_validations) = (plateau.cooldown, 0);
        Ok(true)
    }

    pub(crate) fn save(&self) -> Json {
        json!({
            "epochs": self.epochs,
            "validations": self.validations,
            "best": self.best,
            "bad_validations": self.bad_validations,
            "cooldown_left": self.cooldown_left,
        })
    }

    pub(crate) fn load(saved: &Json) -> Option<PlateauState> {
        let count = |key: &str| saved.get(key)?.as_i64();
        Some(PlateauState {
            epochs: count("epochs")?,
            validations: count("validations")?,
            best: saved.get("best")?.as_f64()?,
            bad_validations: count("bad_validations")?,
            cooldown_left: count("cooldown_left")?,
        })
    }
}

/// Multiplies the values of all groups, down to their least ones.
pub(crate) fn reduce(plateau: &Plateau, quantity: Quantity, groups: &mut dyn ParamGroups) {
    for (group, least) in plateau.min_values.iter().enumerate() {
        let current = groups.value(quantity, group);
        let value = (current * plateau.factor).max(*least);
        if current - value > plateau.eps {
            groups.set_value(quantity, group, value);
        }
    }
}
