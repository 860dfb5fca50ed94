//! Schedules that multiply the value by a factor now and then.
//! Knows nothing of the values in between.

use std::collections::BTreeMap;

use snaphook_plugin_api::Json;

use super::{Family, Law, Place, family};
use crate::ScheduleError;
use crate::rule::Rule;
use crate::span::{Span, SpanSettings};

family! {
    /// Multiplies the value by `gamma` every `step_size` steps.
    Step {
        /// Steps between two changes.
        #[kwarg(min = 1)]
        step_size: i64,
        /// What the value is multiplied with.
        #[kwarg(default = 0.1)]
        gamma: f64,
    }
}

impl Family for Step {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, _: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        Ok(Law::Rule(Rule::Step { size: self.step_size * span.scale, gamma: self.gamma }))
    }
}

family! {
    /// Multiplies the value by `gamma` at each milestone; one that is listed twice counts twice.
    MultiStep {
        /// Steps, counted from `begin`, at which the value changes.
        #[kwarg]
        milestones: Vec<i64>,
        /// What the value is multiplied with.
        #[kwarg(default = 0.1)]
        gamma: f64,
    }
}

impl Family for MultiStep {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, _: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        let mut milestones = BTreeMap::new();
        for milestone in &self.milestones {
            *milestones.entry(milestone * span.scale).or_insert(0) += 1;
        }
        Ok(Law::Rule(Rule::MultiStep { milestones, gamma: self.gamma }))
    }
}

family! {
    /// Multiplies the value by `gamma` at every step; `convert_to_iter_based` does not rescale it.
    Exponential {
        /// What the value is multiplied with.
        #[kwarg]
        gamma: f64,
    }
}

impl Family for Exponential {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, _: &Span, _: usize) -> Result<Law, ScheduleError> {
        let gamma = place.check("gamma", self.gamma, ("a number", self.gamma.is_finite()))?;
        Ok(Law::Rule(Rule::Exponential { gamma }))
    }
}

/// The error for a list that must not hold numbers below 1.
pub(super) fn check_positive(
    place: &Place<'_>,
    argument: &str,
    numbers: &[i64],
) -> Result<(), ScheduleError> {
    if numbers.iter().all(|number| *number > 0) {
        return Ok(());
    }
    Err(place.wrong(argument, "whole numbers above 0", &Json::from(numbers)))
}
