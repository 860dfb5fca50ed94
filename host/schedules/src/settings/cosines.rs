//! Schedules along a cosine.
//! Knows nothing of the values in between.

use snaphook_plugin_api::Json;

use super::steps::check_positive;
use super::{Family, Law, Place, family};
use crate::ScheduleError;
use crate::rule::{Floor, Rule};
use crate::span::{Span, SpanSettings};

family! {
    /// Leads the value along a cosine to its least value after `T_max` steps, and back again if the run goes on.
    CosineAnnealing {
        /// Half a period, in steps; from `begin` to `end` where none is given.
        #[kwarg(min = 0)]
        T_max: Option<i64>,
        /// The least value; 0 where neither this nor `eta_min_ratio` is given.
        #[kwarg]
        eta_min: Option<f64>,
        /// The least value as a share of the initial one.
        #[kwarg]
        eta_min_ratio: Option<f64>,
    }
}

impl Family for CosineAnnealing {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        let floor = floor(place, self.eta_min, self.eta_min_ratio)?.unwrap_or(Floor::Value(0.0));
        // In MMEngine, too, 0 stands for the default.
        let period = match self.T_max {
            None | Some(0) => span.end - span.begin,
            Some(given) => given * span.scale,
        };
        Ok(Law::Rule(Rule::Cosine { period, floor }))
    }
}

family! {
    /// Leads the value along one cosine after the other, each from a share of the initial value.
    CosineRestart {
        /// Steps of each cosine.
        #[kwarg]
        periods: Vec<i64>,
        /// Share of the initial value that each cosine begins with.
        #[kwarg(default = [1.0])]
        restart_weights: Vec<f64>,
        /// The least value; this or `eta_min_ratio` must be given.
        #[kwarg]
        eta_min: Option<f64>,
        /// The least value as a share of the initial one.
        #[kwarg]
        eta_min_ratio: Option<f64>,
    }
}

impl Family for CosineRestart {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        let floor = floor(place, self.eta_min, self.eta_min_ratio)?;
        let floor = floor.ok_or_else(|| {
            place.wrong("eta_min", "a number, or one for eta_min_ratio", &Json::Null)
        })?;
        check_positive(place, "periods", &self.periods)?;
        let (periods, weights) = (self.periods.clone(), self.restart_weights.clone());
        if weights.len() != periods.len() {
            let expected = format!("{} numbers, as many as periods", periods.len());
            return Err(place.wrong("restart_weights", &expected, &Json::from(weights)));
        }
        let periods = periods.into_iter().map(|period| period * span.scale).collect();
        Ok(Law::Rule(Rule::CosineRestart { periods, weights, floor }))
    }
}

fn floor(
    place: &Place<'_>,
    value: Option<f64>,
    ratio: Option<f64>,
) -> Result<Option<Floor>, ScheduleError> {
    match (value, ratio) {
        (Some(_), Some(ratio)) => Err(place.wrong(
            "eta_min_ratio",
            "no value together with one for eta_min",
            &Json::from(ratio),
        )),
        (Some(value), None) => Ok(Some(Floor::Value(value))),
        (None, ratio) => Ok(ratio.map(Floor::ShareOfInitial)),
    }
}
