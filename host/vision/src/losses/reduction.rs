//! What all losses share: how elements become one number, and its weight.

use snaphook_components::vision::Reduction;
use snaphook_components::{ComponentError, Problem, ProblemKind};
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

    /// Mean, with weight 1.
    pub(super) fn unit() -> Reduced {
        Reduced { sums: false, weight: 1.0 }
    }

    /// What `reduction` and `loss_weight` say.
    pub(super) fn new(reduction: Reduction, weight: f64) -> Reduced {
        Reduced { sums: reduction == Reduction::Sum, weight }
    }

    /// What they say of a loss that is divided by a count of the head's.
    ///
    /// Errors: a sum, which cannot be, as in MMDetection (there at the first iteration).
    pub(super) fn counted(
        reduction: Reduction,
        weight: f64,
        path: &str,
    ) -> Result<Reduced, ComponentError> {
        if reduction == Reduction::Sum {
            let message =
                "expected 'mean', found 'sum' (this head divides its losses by a count of its own)";
            let path = format!("{path}.reduction");
            return Err(Problem::new(path, ProblemKind::Value, message).into());
        }
        Ok(Reduced::new(reduction, weight))
    }

    pub(super) fn apply(self, elements: &Tensor) -> Tensor {
        let reduced =
            if self.sums { elements.sum(Kind::Float) } else { elements.mean(Kind::Float) };
        reduced * self.weight
    }

    /// The sum over `count`, times the weight.
    ///
    /// Source: MMDetection `models/losses/utils.py`, which adds the smallest step of single precision to the count.
    pub(super) fn over(self, elements: &Tensor, count: f64) -> Tensor {
        elements.sum(Kind::Float) * (self.weight / (count + f64::from(f32::EPSILON)))
    }
}
