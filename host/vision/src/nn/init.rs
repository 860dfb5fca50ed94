//! The start values of a whole model: what each part asks for, and what a tensor gets where no part asks. Knows no model.
//!
//! Source: MMEngine `model/weight_init.py`; without a rule, MMDetection's `init_cfg` of YOLOX (Kaiming uniform, a = sqrt(5),
//! fan in), with biases of zero.

use snaphook_runner::{Entry, Layer, ModelState, Role};
use tch::Tensor;

use crate::random::Random;

/// How a weight is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fill {
    /// By the size of a signal after the activation.
    Kaiming {
        /// Factor for the activation: the root of 2 / (1 + slope squared).
        gain: f64,
        /// Counts outputs instead of inputs.
        fan_out: bool,
        /// Even instead of normal.
        uniform: bool,
    },
    /// By the size of a signal in both directions.
    Xavier {
        /// Factor of the values.
        gain: f64,
        /// Even instead of normal.
        uniform: bool,
    },
    /// Normal values.
    Normal {
        /// Their mean.
        mean: f64,
        /// Their deviation.
        std: f64,
    },
    /// The same value everywhere.
    Constant(f64),
}

/// Which tensors are filled how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Dotted begin of the names: `backbone`.
    pub(crate) prefix: String,
    /// A part of the name between dots: `fc_cls`.
    pub(crate) part: Option<String>,
    /// Kinds of layers by PyTorch's names; all where there is none.
    pub(crate) layers: Vec<String>,
    /// How weights are filled.
    pub(crate) fill: Fill,
    /// Value of the biases.
    pub(crate) bias: f64,
}

/// What the parts of a model ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StartValues {
    /// A later rule goes before an earlier one.
    pub(crate) rules: Vec<Rule>,
}

const YOLOX: Fill = Fill::Kaiming { gain: 0.577_350_269_189_625_8, fan_out: false, uniform: true };

impl Rule {
    /// Every layer of these kinds below `prefix`, with biases of zero.
    pub(crate) fn layers(prefix: &str, layers: &[&str], fill: Fill) -> Rule {
        let layers = layers.iter().map(|layer| (*layer).to_owned()).collect();
        Rule { prefix: prefix.to_owned(), part: None, layers, fill, bias: 0.0 }
    }

    /// Every layer below `prefix` with this part in its name, with biases of zero.
    pub(crate) fn part(prefix: &str, part: &str, fill: Fill) -> Rule {
        let (prefix, part) = (prefix.to_owned(), Some(part.to_owned()));
        Rule { prefix, part, layers: Vec::new(), fill, bias: 0.0 }
    }

    fn is_for(&self, entry: &Entry) -> bool {
        let Some(own) = entry.name.strip_prefix(&self.prefix) else { return false };
        let has_part = |part: &String| own.split('.').any(|name| name == part);
        let (Role::Parameter(layer) | Role::Buffer(layer)) = entry.role;
        let kinds: &[&str] = match layer {
            Layer::Convolution { .. } => &["Conv2d"],
            Layer::Norm => &["_BatchNorm", "BatchNorm2d", "BN", "GroupNorm"],
            Layer::Other => &["Linear"],
        };
        self.part.as_ref().is_none_or(has_part)
            && (self.layers.is_empty()
                || self.layers.iter().any(|kind| kinds.contains(&kind.as_str())))
    }
}

/// Fills every tensor; the same seed gives the same values on every device.
pub(crate) fn initialise(state: &ModelState, starts: &StartValues, seed: u64) {
    tch::no_grad(|| {
        for (stream, entry) in state.entries().iter().enumerate() {
            let rule = starts.rules.iter().rev().find(|rule| rule.is_for(entry));
            fill(entry, rule, &mut Random::new(seed, stream as u64));
        }
    });
}

fn fill(entry: &Entry, rule: Option<&Rule>, random: &mut Random) {
    let mut tensor = entry.tensor.shallow_clone();
    let own_name = entry.name.rsplit('.').next().unwrap_or_default();
    match (entry.role, own_name, rule) {
        (Role::Buffer(Layer::Norm), "running_var", _)
        | (Role::Parameter(Layer::Norm), "weight", None) => {
            let _ = tensor.fill_(1.0);
        }
        (Role::Parameter(_), "weight", Some(rule)) => weights(&tensor, rule.fill, random),
        (Role::Parameter(_), "bias", Some(rule)) => {
            let _ = tensor.fill_(rule.bias);
        }
        (Role::Parameter(_), "weight", None) => weights(&tensor, YOLOX, random),
        _ => {
            let _ = tensor.zero_();
        }
    }
}

fn weights(weight: &Tensor, fill: Fill, random: &mut Random) {
    let size = weight.size();
    let window: i64 = size.iter().skip(2).product();
    let (inputs, outputs) =
        (size.get(1).map_or(1, |n| n * window) as f64, (size[0] * window) as f64);
    let spread = |uniform: bool, std: f64, random: &mut Random| match uniform {
        true => random.symmetric(std * 3.0_f64.sqrt()),
        false => (random.normal() * std) as f32,
    };
    let mut one = || match fill {
        Fill::Kaiming { gain, fan_out, uniform } => {
            let fan = if fan_out { outputs } else { inputs };
            spread(uniform, gain / fan.sqrt(), random)
        }
        Fill::Xavier { gain, uniform } => {
            spread(uniform, gain * (2.0 / (inputs + outputs)).sqrt(), random)
        }
        Fill::Normal { mean, std } => (mean + random.normal() * std) as f32,
        Fill::Constant(value) => value as f32,
    };
    let values: Vec<f32> = (0..weight.numel()).map(|_| one()).collect();
    weight.shallow_clone().copy_(&Tensor::from_slice(&values).view(size.as_slice()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_runner::Scope;
    use tch::{Device, Kind};

    fn model() -> (Tensor, Tensor, ModelState) {
        let scope = Scope::root(Device::Cpu);
        let layer = Layer::Convolution { in_channels: 4, groups: 1 };
        let weight = scope.child("head").parameter("weight", &[64, 4, 3, 3], layer);
        let bias = scope.child("head").parameter("bias", &[64], layer);
        (weight, bias, scope.finish())
    }

    #[test]
    fn convolutions_fill_their_bound_and_biases_are_zero() {
        let (weight, bias, state) = model();
        initialise(&state, &StartValues::default(), 3);
        let bound = 1.0 / 6.0;
        assert!(weight.abs().max().double_value(&[]) <= bound);
        // An even spread has a deviation of bound / sqrt(3); 2304 values meet it within some percent.
        let deviation = weight.std(false).double_value(&[]);
        assert!((deviation / (bound / 3.0_f64.sqrt()) - 1.0).abs() < 0.05, "{deviation}");
        assert_eq!(bias.abs().sum(Kind::Float).double_value(&[]), 0.0);
    }

    #[test]
    fn a_later_rule_for_the_layer_goes_before_an_earlier_one_and_others_do_not_count() {
        let (weight, bias, state) = model();
        let gain = 2.0_f64.sqrt();
        let kaiming = Fill::Kaiming { gain, fan_out: true, uniform: false };
        let rules = vec![
            Rule::layers("head", &["Conv2d"], Fill::Constant(7.0)),
            Rule { bias: 2.0, ..Rule::layers("head", &["Conv2d"], kaiming) },
            Rule::layers("head", &["Linear"], Fill::Constant(8.0)),
            Rule::part("head", "fc_cls", Fill::Constant(9.0)),
            Rule::layers("neck", &[], Fill::Constant(10.0)),
        ];
        initialise(&state, &StartValues { rules }, 3);
        let expected = (2.0 / (64.0 * 9.0_f64)).sqrt();
        let deviation = weight.std(false).double_value(&[]);
        assert!((deviation / expected - 1.0).abs() < 0.05, "{deviation}");
        assert_eq!(bias.mean(Kind::Float).double_value(&[]), 2.0);
    }
}
