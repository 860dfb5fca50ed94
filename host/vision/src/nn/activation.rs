//! Activation functions by the `type` of an `act_cfg`.

use serde_json::Value as Json;
use snaphook_components::vision::{LeakyRelu, Relu, Swish};
use snaphook_components::{Catalog, ComponentError, Role, read, type_name};
use tch::Tensor;

/// What follows a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    /// x sigmoid(x); MMCV calls it Swish and SiLU.
    Swish,
    /// max(x, 0).
    Relu,
    /// x where it is positive, else x times the slope.
    LeakyRelu(f64),
}

impl Activation {
    pub(crate) fn read(value: &Json, path: &str) -> Result<Activation, ComponentError> {
        match type_name(Role::Activation, value, path)? {
            "ReLU" => read::<Relu>(value, path).map(|_| Activation::Relu),
            "LeakyReLU" => read(value, path)
                .map(|LeakyRelu { negative_slope, .. }| Activation::LeakyRelu(negative_slope)),
            "Swish" | "SiLU" => read::<Swish>(value, path).map(|_| Activation::Swish),
            _ => Err(Catalog::built_in().unknown(Role::Activation, value, path).into()),
        }
    }

    pub(crate) fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Swish => x.silu(),
            Activation::Relu => x.relu(),
            Activation::LeakyRelu(slope) => x.clamp_min(0.0) + x.clamp_max(0.0) * slope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_formulas() {
        let x = Tensor::from_slice(&[-2.0_f32, 0.0, 2.0]);
        let values = |activation: Activation| Vec::<f32>::try_from(activation.forward(&x)).unwrap();
        assert_eq!(values(Activation::Relu), [0.0, 0.0, 2.0]);
        assert_eq!(values(Activation::LeakyRelu(0.1)), [-0.2, 0.0, 2.0]);
        let swish = values(Activation::Swish);
        assert!((swish[2] - 1.761_594).abs() < 1e-5 && (swish[0] + 0.238_406).abs() < 1e-5);
    }
}
