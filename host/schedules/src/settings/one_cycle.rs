//! The schedule that rises to a peak once and falls far below where it began.
//! Knows nothing of the values in between.

use snaphook_plugin_api::Json;

use super::{Family, Law, Place, family};
use crate::ScheduleError;
use crate::rule::{Level, Peaks, Phase, Rule};
use crate::span::{Span, SpanSettings};

family! {
    /// Lets the learning rate rise to a peak and fall far below its beginning, whatever other schedules do.
    ///
    /// The initial value becomes `eta_max / div_factor`.
    OneCycle {
        /// The peak: a number, or a list with one for each group.
        #[kwarg]
        eta_max: Json,
        /// Steps of the cycle; from `begin` to `end` where none is given.
        #[kwarg(min = 1)]
        total_steps: Option<i64>,
        /// Share of the steps in which the value rises.
        #[kwarg(default = 0.3, min = 0, max = 1)]
        pct_start: f64,
        /// The curve.
        #[kwarg(default = "cos", choices("cos", "linear"))]
        anneal_strategy: String,
        /// The peak divided by the first value.
        #[kwarg(default = 25.0)]
        div_factor: f64,
        /// The first value divided by the last.
        #[kwarg(default = 1e4)]
        final_div_factor: f64,
        /// Whether it falls to the first value before it falls to the last.
        #[kwarg(default = false)]
        three_phase: bool,
    }
}

impl Family for OneCycle {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(
        &self,
        place: &Place<'_>,
        span: &Span,
        group_count: usize,
    ) -> Result<Law, ScheduleError> {
        let values = one_for_each(place, ("eta_max", &self.eta_max), group_count)?;
        let total = self.total_steps.map_or(span.end - span.begin, |given| given * span.scale);
        if total < span.total() {
            let expected = format!("at least {}, the steps from begin to end", span.total());
            return Err(place.wrong("total_steps", &expected, &Json::from(total)));
        }
        let peaks = Peaks {
            values,
            initial_divisor: self.div_factor,
            final_divisor: self.final_div_factor,
        };
        let is_linear = self.anneal_strategy == "linear";
        Ok(Law::Rule(Rule::OneCycle { phases: self.phases(total), peaks, is_linear }))
    }
}

impl OneCycle {
    fn phases(&self, total: i64) -> Vec<Phase> {
        let rise = self.pct_start * total as f64;
        let last = (total - 1) as f64;
        let up = Phase { end: rise - 1.0, from: Level::Initial, to: Level::Peak };
        if self.three_phase {
            let down = 2.0 * self.pct_start * total as f64 - 2.0;
            return vec![
                up,
                Phase { end: down, from: Level::Peak, to: Level::Initial },
                Phase { end: last, from: Level::Initial, to: Level::Final },
            ];
        }
        vec![up, Phase { end: last, from: Level::Peak, to: Level::Final }]
    }
}

/// The numbers of an argument that is one for all groups or a list with one for each.
pub(super) fn one_for_each(
    place: &Place<'_>,
    (argument, value): (&str, &Json),
    group_count: usize,
) -> Result<Vec<f64>, ScheduleError> {
    let numbers = match value {
        Json::Array(items) => items.iter().map(Json::as_f64).collect(),
        one => one.as_f64().map(|one| vec![one; group_count]),
    };
    let numbers: Option<Vec<f64>> = numbers;
    numbers.filter(|numbers| numbers.len() == group_count).ok_or_else(|| {
        let expected = format!("a number, or a list of {group_count}, one for each group");
        place.wrong(argument, &expected, value)
    })
}
