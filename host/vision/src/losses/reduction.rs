//! What all losses share: how elements become one number, and its weight.

use snaphook_components::vision::Reduction;
use tch::{Kind, Tensor};

/// Sum or mean, times a weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduced {
    sums: bool,
    weight: f64,
}

impl Reduced {
    /// Sum, with this weight.
    pub(super) fn sum(weight: f64) -> Reduced {
        Reduced { sums: true, weight }
    }

    /// What `reduction` and `loss_weight` say.
    pub(super) fn new(reduction: Reduction, weight: f64) -> Reduced {
        Reduced { sums: reduction == Reduction::Sum, weight }
    }

    pub(super) fn apply(self, elements: &Tensor) -> Tensor {
        let reduced =
            if self.sums { elements.sum(Kind::Float) } else { elements.mean(Kind::Float) };
        reduced * self.weight
    }
}
