//! The start values of a whole model by the kind of its tensors. Knows no model.
//!
//! Source: MMDetection's `init_cfg` of YOLOX (Kaiming uniform, a = sqrt(5), fan in) and MMEngine
//! `model/weight_init.py`, which sets the biases of convolutions to zero, unlike PyTorch.

use snaphook_runner::{Entry, Layer, ModelState, Role};
use tch::Tensor;

use crate::random::Random;

/// Fills every tensor; the same seed gives the same values on every device.
pub(crate) fn initialise(state: &ModelState, seed: u64) {
    tch::no_grad(|| {
        for (stream, entry) in state.entries().iter().enumerate() {
            fill(entry, &mut Random::new(seed, stream as u64));
        }
    });
}

fn fill(entry: &Entry, random: &mut Random) {
    let mut tensor = entry.tensor.shallow_clone();
    let own_name = entry.name.rsplit('.').next().unwrap_or_default();
    match (entry.role, own_name) {
        (Role::Parameter(Layer::Convolution { .. }), "weight") => kaiming_uniform(&tensor, random),
        (Role::Parameter(Layer::Norm), "weight") | (Role::Buffer(Layer::Norm), "running_var") => {
            let _ = tensor.fill_(1.0);
        }
        _ => {
            let _ = tensor.zero_();
        }
    }
}

/// With a = sqrt(5), the bound is one over the root of the number of inputs of an output.
fn kaiming_uniform(weight: &Tensor, random: &mut Random) {
    let size = weight.size();
    let fan_in: i64 = size[1..].iter().product();
    let bound = 1.0 / (fan_in as f64).sqrt();
    let values: Vec<f32> = (0..weight.numel()).map(|_| random.symmetric(bound)).collect();
    weight.shallow_clone().copy_(&Tensor::from_slice(&values).view(size.as_slice()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_runner::Scope;
    use tch::{Device, Kind};

    #[test]
    fn convolutions_fill_their_bound_and_biases_are_zero() {
        let scope = Scope::root(Device::Cpu);
        let layer = Layer::Convolution { in_channels: 4, groups: 1 };
        let weight = scope.parameter("weight", &[64, 4, 3, 3], layer);
        let bias = scope.parameter("bias", &[64], layer);
        initialise(&scope.finish(), 3);
        let bound = 1.0 / 6.0;
        assert!(weight.abs().max().double_value(&[]) <= bound);
        // An even spread has a deviation of bound / sqrt(3); 2304 values meet it within some percent.
        let deviation = weight.std(false).double_value(&[]);
        assert!((deviation / (bound / 3.0_f64.sqrt()) - 1.0).abs() < 0.05, "{deviation}");
        assert_eq!(bias.abs().sum(Kind::Float).double_value(&[]), 0.0);
    }
}
