//! Schedules that lead from one value to another without turning back.
//! Knows nothing of the steps in between.

use snaphook_plugin_api::Json;

use super::{Family, Law, Place, family};
use crate::ScheduleError;
use crate::rule::Rule;
use crate::span::{INFINITE, Span, SpanSettings};

const ABOVE_ZERO: &str = "a number above 0, at most 1";

family! {
    /// Multiplies the value by a factor until the step before `end`, where it comes back.
    Constant {
        /// What the value is multiplied with, above 0 and at most 1.
        #[kwarg(default = 0.3333333333333333)]
        factor: f64,
    }
}

impl Family for Constant {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        let is_valid = self.factor > 0.0 && self.factor <= 1.0;
        let factor = place.check("factor", self.factor, (ABOVE_ZERO, is_valid))?;
        Ok(Law::Rule(Rule::Constant { factor, total: span.total() }))
    }
}

family! {
    /// Changes the value linearly from one share of it to another, which it reaches at the step before `end`.
    Linear {
        /// Share of the value at `begin`, above 0 and at most 1.
        #[kwarg(default = 0.3333333333333333)]
        start_factor: f64,
        /// Share of the value at the step before `end`.
        #[kwarg(default = 1.0, min = 0, max = 1)]
        end_factor: f64,
    }
}

impl Family for Linear {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        let is_valid = self.start_factor > 0.0 && self.start_factor <= 1.0;
        let start = place.check("start_factor", self.start_factor, (ABOVE_ZERO, is_valid))?;
        Ok(Law::Rule(Rule::Linear { start, end: self.end_factor, total: span.total() }))
    }
}

family! {
    /// Lets the value fall to `eta_min` by a power of the part that is left, down to the step before `end`.
    Poly {
        /// The least value.
        #[kwarg(default = 0.0)]
        eta_min: f64,
        /// The power; 1 falls linearly.
        #[kwarg(default = 1.0)]
        power: f64,
    }
}

impl Family for Poly {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, _: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        Ok(Law::Rule(Rule::Poly { floor: self.eta_min, power: self.power, total: span.total() }))
    }
}

family! {
    /// Lets the value grow with the square of the step up to its initial value, from `begin` to `end`.
    QuadraticWarmup {}
}

impl Family for QuadraticWarmup {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(&self, place: &Place<'_>, span: &Span, _: usize) -> Result<Law, ScheduleError> {
        if span.end >= INFINITE {
            return Err(place.wrong(
                "end",
                "the step at which warm-up is over",
                &Json::from(span.end),
            ));
        }
        Ok(Law::Rule(Rule::QuadraticWarmup { total: span.end - span.begin }))
    }
}
