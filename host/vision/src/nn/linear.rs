//! A layer of weights and biases, for rows of numbers.

use snaphook_runner::{Layer, Scope};
use tch::Tensor;

/// x W^T + b.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn new(scope: &Scope, inputs: i64, outputs: i64) -> Linear {
        Linear {
            weight: scope.parameter("weight", &[outputs, inputs], Layer::Other),
            bias: scope.parameter("bias", &[outputs], Layer::Other),
        }
    }

    /// Shapes: `x` [N, inputs]; the result [N, outputs].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}
