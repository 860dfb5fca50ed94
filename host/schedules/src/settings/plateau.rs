//! The schedule that follows a metric of the validation.
//! Knows nothing of validations.

use snaphook_plugin_api::Json;

use super::one_cycle::one_for_each;
use super::{Family, Law, Place, family};
use crate::ScheduleError;
use crate::plateau::{Better, Margin, Plateau};
use crate::span::{Span, SpanSettings};

family! {
    /// Multiplies the value by `factor` when a metric has not become better for more than `patience` validations.
    ReduceOnPlateau {
        /// The metric, as the evaluator names it, such as `coco/bbox_mAP`.
        #[kwarg(default = "loss")]
        monitor: String,
        /// Whether less or more of the metric is better.
        #[kwarg(default = "less", choices("less", "greater"))]
        rule: String,
        /// What the value is multiplied with, below 1.
        #[kwarg(default = 0.1)]
        factor: f64,
        /// Validations without a better metric that are waited for.
        #[kwarg(default = 10)]
        patience: i64,
        /// By how much a metric must be better to count.
        #[kwarg(default = 1e-4, min = 0)]
        threshold: f64,
        /// Whether `threshold` is a share of the best metric or a difference.
        #[kwarg(default = "rel", choices("rel", "abs"))]
        threshold_rule: String,
        /// Validations after a change that do not count.
        #[kwarg(default = 0)]
        cooldown: i64,
        /// The least value: a number, or a list with one for each group.
        #[kwarg(default = 0)]
        min_value: Json,
        /// Changes of the value below this are left out.
        #[kwarg(default = 1e-8)]
        eps: f64,
    }
}

impl Family for ReduceOnPlateau {
    fn span(&self) -> SpanSettings {
        self.span_settings()
    }

    fn law(
        &self,
        place: &Place<'_>,
        span: &Span,
        group_count: usize,
    ) -> Result<Law, ScheduleError> {
        if !self.by_epoch {
            return Err(place.wrong("by_epoch", "true", &Json::from(false)));
        }
        if span.is_converted {
            let expected = "false (it acts after validations)";
            return Err(place.wrong("convert_to_iter_based", expected, &Json::from(true)));
        }
        let is_valid = self.factor < 1.0;
        let better = if self.rule == "greater" { Better::Greater } else { Better::Less };
        Ok(Law::Plateau(Plateau {
            monitor: self.monitor.clone(),
            better,
            factor: place.check("factor", self.factor, ("a number below 1", is_valid))?,
            patience: self.patience,
            margin: match self.threshold_rule.as_str() {
                "abs" => Margin::Difference(self.threshold),
                _ => Margin::Share(self.threshold),
            },
            cooldown: self.cooldown,
            min_values: one_for_each(place, ("min_value", &self.min_value), group_count)?,
            eps: self.eps,
        }))
    }
}
