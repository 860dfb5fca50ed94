//! How much a new value counts: the kinds of averages.
//! Knows nothing of models.

use serde_json::{Value as Json, json};
use tch::Tensor;

use super::AveragingError;
use snaphook_schedules::{Kwargs, did_you_mean};

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

const NAMES: [&str; 4] = [
    "ExponentialMovingAverage",
    "MomentumAnnealingEMA",
    "ExpMomentumEMA",
    "StochasticWeightAverage",
];

impl Strategy {
    /// Reads the kind and its numbers; `name` without the part before a dot.
    pub(super) fn read(name: &str, kwargs: &Kwargs<'_>) -> Result<Strategy, AveragingError> {
        let momentum = || {
            kwargs.number_where(
                "momentum",
                0.0002,
                ("a number between 0 and 1", |x| x > 0.0 && x < 1.0),
            )
        };
        let gamma = |default| kwargs.positive_integer("gamma", default).map(|gamma| gamma as f64);
        Ok(match name {
            "ExponentialMovingAverage" => Strategy::Exponential { momentum: momentum()? },
            "MomentumAnnealingEMA" => {
                Strategy::Annealing { momentum: momentum()?, gamma: gamma(100)? }
            }
            "ExpMomentumEMA" => {
                Strategy::ExpMomentum { momentum: momentum()?, gamma: gamma(2000)? }
            }
            "StochasticWeightAverage" => Strategy::Stochastic,
            other => {
                let hint = did_you_mean(other, NAMES);
                return Err(AveragingError::UnknownType {
                    name: other.to_owned(),
                    hint,
                    known: NAMES.join(", "),
                });
            }
        })
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
