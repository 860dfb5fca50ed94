//! When a schedule acts: its begin and end, in steps of its unit.
//! Knows nothing of values.

use serde_json::Value as Json;

use crate::settings::Place;
use crate::{ScheduleContext, ScheduleError, Unit};

/// MMEngine's "no end".
pub(crate) const INFINITE: i64 = 1_000_000_000;

/// Begin, end and unit as they are configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanSettings {
    pub(crate) begin: f64,
    pub(crate) end: Option<f64>,
    pub(crate) by_epoch: bool,
    pub(crate) is_converted: bool,
    pub(crate) epoch_length: Option<i64>,
}

/// Begin, end and unit of a schedule, in steps of that unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) unit: Unit,
    pub(crate) is_converted: bool,
    /// What epochs are multiplied with: 1 unless `convert_to_iter_based`.
    pub(crate) scale: i64,
}

impl Span {
    pub(crate) fn of(
        settings: SpanSettings,
        context: ScheduleContext,
        place: &Place<'_>,
    ) -> Result<Span, ScheduleError> {
        let SpanSettings { begin, end, by_epoch, is_converted, epoch_length } = settings;
        if is_converted && !by_epoch {
            let expected = "true together with convert_to_iter_based";
            return Err(place.wrong("by_epoch", expected, &Json::from(false)));
        }
        let whole_run = if by_epoch { context.max_epochs } else { context.max_iters };
        let end = end.unwrap_or(whole_run as f64);
        let epoch_length = epoch_length.unwrap_or(context.epoch_length.max(1) as i64);
        let scale = if is_converted { epoch_length } else { 1 };
        let scaled = |steps: f64| (steps * scale as f64) as i64;
        let span = Span {
            begin: scaled(begin),
            end: if end == INFINITE as f64 { INFINITE } else { scaled(end) },
            unit: if by_epoch && !is_converted { Unit::Epoch } else { Unit::Iteration },
            is_converted,
            scale,
        };
        span.check(place)
    }

    fn check(self, place: &Place<'_>) -> Result<Span, ScheduleError> {
        if self.end > self.begin {
            return Ok(self);
        }
        let expected = format!("a step above begin ({})", self.begin);
        Err(place.wrong("end", &expected, &Json::from(self.end)))
    }

    /// MMEngine's `total_iters`: one less than the steps between begin and end.
    pub(crate) fn total(&self) -> i64 {
        self.end - self.begin - 1
    }
}
