//! The keyword arguments of every scheduler, with MMEngine's names and defaults, and the rule that they lead to.
//! Knows nothing of groups, counters or configuration files.

mod cosines;
mod one_cycle;
mod plateau;
mod ramps;
mod steps;

pub(crate) use cosines::{CosineAnnealing, CosineRestart};
pub(crate) use one_cycle::OneCycle;
pub(crate) use plateau::ReduceOnPlateau;
pub(crate) use ramps::{Constant, Linear, Poly, QuadraticWarmup};
pub(crate) use steps::{Exponential, MultiStep, Step};

use serde_json::Value as Json;
use snaphook_plugin_api::Kwargs;

use crate::ScheduleError;
use crate::plateau::Plateau;
use crate::rule::Rule;
use crate::span::{Span, SpanSettings};

/// What makes a schedule's values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Law {
    /// A value for each step.
    Rule(Rule),
    /// A metric of the validation.
    Plateau(Plateau),
}

/// The keyword arguments of one family of schedulers.
pub(crate) trait Family: Kwargs {
    /// When it acts.
    fn span(&self) -> SpanSettings;

    /// How it acts, on so many groups.
    fn law(&self, place: &Place<'_>, span: &Span, group_count: usize)
    -> Result<Law, ScheduleError>;
}

/// Which scheduler of the configuration is read.
pub(crate) struct Place<'a> {
    /// `param_scheduler.1`.
    pub(crate) key: &'a str,
    /// Its type without the part before a dot.
    pub(crate) name: &'a str,
}

impl Place<'_> {
    /// An argument that cannot be used.
    pub(crate) fn wrong(&self, argument: &str, expected: &str, found: &Json) -> ScheduleError {
        let key = self.key;
        ScheduleError::Settings(format!("{key}.{argument}: expected {expected}, found {found}"))
    }

    /// Refuses a number outside of what `is_valid` says.
    pub(crate) fn check(
        &self,
        argument: &str,
        value: f64,
        (expected, is_valid): (&str, bool),
    ) -> Result<f64, ScheduleError> {
        if is_valid { Ok(value) } else { Err(self.wrong(argument, expected, &Json::from(value))) }
    }
}

/// Declares the arguments of a family: its own, and those that all families have.
macro_rules! family {
    ($(#[$($meta:tt)*])* $name:ident { $($fields:tt)* }) => {
        $(#[$($meta)*])*
        #[derive(Clone, Debug, snaphook_plugin_api::Kwargs)]
        #[allow(non_snake_case, reason = "MMEngine's names")]
        pub(crate) struct $name {
            $($fields)*
            /// The first epoch or iteration in which it acts.
            #[kwarg(default = 0)]
            begin: f64,
            /// The epoch or iteration from which on it does not act; the end of the run where none is given.
            #[kwarg]
            end: Option<f64>,
            /// The step counted last; a resume brings its own, so only -1.
            #[kwarg(default = -1, min = -1, max = -1)]
            last_step: i64,
            /// Whether it counts epochs; if not, iterations.
            #[kwarg(default = true)]
            by_epoch: bool,
            /// Without effect here: every change is in the scalars.
            #[kwarg(default = false)]
            verbose: bool,
            /// Whether its epochs are turned into iterations, so that values change with every iteration.
            #[kwarg(default = false)]
            convert_to_iter_based: bool,
            /// Iterations in an epoch for `convert_to_iter_based`; those of the training data where none is given.
            #[kwarg(min = 1)]
            epoch_length: Option<i64>,
        }

        impl $name {
            fn span_settings(&self) -> crate::span::SpanSettings {
                let _ = (self.last_step, self.verbose);
                crate::span::SpanSettings {
                    begin: self.begin,
                    end: self.end,
                    by_epoch: self.by_epoch,
                    is_converted: self.convert_to_iter_based,
                    epoch_length: self.epoch_length,
                }
            }
        }
    };
}
pub(crate) use family;
