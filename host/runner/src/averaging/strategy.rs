//! How much a new value counts: the kinds of averages.
//! Knows nothing of models.

use serde_json::{Value as Json, json};
use snaphook_components::{Component, Problem, ProblemKind, Role, plain_type, read};
use snaphook_plugin_api::{Kwargs, nearest};
use tch::Tensor;

use super::AveragingError;

/// A kind of average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Strategy {
    /// `average = (1 - momentum) * average + momentum * new`.
    Exponential { momentum: f64 },
    /// The same with `max(momentum, gamma / (gamma + steps))`.
    Annealing { momentum: f64, gamma: f64 },
    /// The same with `(1 - momentum) * exp(-(1 + steps) / gamma) + momentum`; YOLOX's.
    ExpMomentum { momentum: f64, gamma: f64 },
    /// The plain mean of all values so far.
    Stochastic,
}

/// Declares a kind of average: its own arguments, and those of all kinds.
macro_rules! average {
    ($(#[$($meta:tt)*])* $name:ident { $($fields:tt)* }) => {
        $(#[$($meta)*])*
        #[derive(Clone, Debug, Kwargs)]
        struct $name {
            $($fields)*
            /// Updates of the model between two of the average.
            #[kwarg(default = 1, min = 1)]
            interval: u64,
            /// Whether buffers are averaged too.
            #[kwarg(default = false)]
            update_buffers: bool,
            /// Without effect: an average is where the model is.
            #[kwarg]
            device: Option<String>,
        }

        impl $name {
            fn settings(&self, strategy: Strategy) -> Settings {
                let _ = &self.device;
                let (interval, update_buffers) = (self.interval, self.update_buffers);
                Settings { strategy, interval, update_buffers }
            }
        }

        impl Component for $name {
            const ROLE: Role = Role::Settings;
            const NAMES: &'static [&'static str] = &[stringify!($name)];
        }
    };
}

average! {
    /// Moves by a fixed share towards each new value.
    ExponentialMovingAverage {
        /// Share of a new value.
        #[kwarg(default = 0.0002)]
        momentum: f64,
    }
}

average! {
    /// Moves by a share towards each new value that falls like 1 / steps.
    MomentumAnnealingEMA {
        /// The least share of a new value.
        #[kwarg(default = 0.0002)]
        momentum: f64,
        /// How slowly the share falls, in updates.
        #[kwarg(default = 100, min = 1)]
        gamma: u64,
    }
}

average! {
    /// Moves by a share towards each new value that falls exponentially; YOLOX's.
    ExpMomentumEMA {
        /// The least share of a new value.
        #[kwarg(default = 0.0002)]
        momentum: f64,
        /// How slowly the share falls, in updates.
        #[kwarg(default = 2000, min = 1)]
        gamma: u64,
    }
}

average! {
    /// The plain mean of all values so far.
    StochasticWeightAverage {}
}

/// What a configuration says of an average.
pub(super) struct Settings {
    pub(super) strategy: Strategy,
    pub(super) interval: u64,
    pub(super) update_buffers: bool,
}

const NAMES: [&str; 4] = [
    "ExponentialMovingAverage",
    "MomentumAnnealingEMA",
    "ExpMomentumEMA",
    "StochasticWeightAverage",
];

impl Strategy {
    /// Reads the kind and its numbers.
    pub(super) fn read(config: &Json) -> Result<Settings, AveragingError> {
        let name = config.get("type").and_then(Json::as_str).unwrap_or(NAMES[0]);
        let path = "average";
        let settings = match plain_type(name) {
            "ExponentialMovingAverage" => {
                let kwargs: ExponentialMovingAverage = read(config, path)?;
                kwargs.settings(Strategy::Exponential { momentum: kwargs.momentum })
            }
            "MomentumAnnealingEMA" => {
                let kwargs: MomentumAnnealingEMA = read(config, path)?;
                let gamma = kwargs.gamma as f64;
                kwargs.settings(Strategy::Annealing { momentum: kwargs.momentum, gamma })
            }
            "ExpMomentumEMA" => {
                let kwargs: ExpMomentumEMA = read(config, path)?;
                let gamma = kwargs.gamma as f64;
                kwargs.settings(Strategy::ExpMomentum { momentum: kwargs.momentum, gamma })
            }
            "StochasticWeightAverage" => {
                read::<StochasticWeightAverage>(config, path)?.settings(Strategy::Stochastic)
            }
            other => return Err(unknown(other)),
        };
        settings.strategy.check()?;
        Ok(settings)
    }

    fn check(self) -> Result<(), AveragingError> {
        let (Strategy::Exponential { momentum }
        | Strategy::Annealing { momentum, .. }
        | Strategy::ExpMomentum { momentum, .. }) = self
        else {
            return Ok(());
        };
        if momentum > 0.0 && momentum < 1.0 {
            return Ok(());
        }
        let message = format!("expected a number between 0 and 1, found {momentum}");
        let problem = Problem::new("average.momentum", ProblemKind::Value, message);
        Err(AveragingError::Settings(problem.into()))
    }

    /// Takes new values into an average, in place, after `steps` updates.
    pub(super) fn update(self, average: &mut Tensor, new: &Tensor, (steps, interval): (u64, u64)) {
        match self {
            Strategy::Exponential { momentum } => {
                let _ = average.lerp_(new, momentum);
            }
            Strategy::Annealing { momentum, gamma } => {
                let _ = average.lerp_(new, momentum.max(gamma / (gamma + steps as f64)));
            }
            Strategy::ExpMomentum { momentum, gamma } => {
                let momentum = (1.0 - momentum) * (-((1 + steps) as f64) / gamma).exp() + momentum;
                let _ = average.g_mul_scalar_(1.0 - momentum).addcmul_(&factor(momentum, new), new);
            }
            Strategy::Stochastic => {
                let share = 1.0 / (steps / interval + 1) as f64;
                let difference = new - &*average;
                let _ = average.addcmul_(&factor(share, new), &difference);
            }
        }
    }

    pub(super) fn to_json(self) -> Json {
        match self {
            Strategy::Exponential { momentum } => json!({"type": NAMES[0], "momentum": momentum}),
            Strategy::Annealing { momentum, gamma } => {
                json!({"type": NAMES[1], "momentum": momentum, "gamma": gamma})
            }
            Strategy::ExpMomentum { momentum, gamma } => {
                json!({"type": NAMES[2], "momentum": momentum, "gamma": gamma})
            }
            Strategy::Stochastic => json!({"type": NAMES[3]}),
        }
    }
}

/// A number as a tensor of one element: the bindings have no `alpha`.
fn factor(value: f64, like: &Tensor) -> Tensor {
    Tensor::full([1], value, (like.kind(), like.device()))
}

fn unknown(name: &str) -> AveragingError {
    let near = nearest(name, NAMES);
    AveragingError::UnknownType {
        name: name.to_owned(),
        hint: near.map_or_else(String::new, |near| format!(", did you mean `{near}`?")),
        known: NAMES.join(", "),
    }
}
