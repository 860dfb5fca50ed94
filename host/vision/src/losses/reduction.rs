//! What all losses share: how elements become one number, and its weight.

use tch::{Kind, Tensor};

use crate::BuildError;
use crate::config::Kwargs;

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

    /// Reads `reduction` and `loss_weight`.
    pub(super) fn read(kwargs: &Kwargs<'_>) -> Result<Reduced, BuildError> {
        let weight = kwargs.or("loss_weight", 1.0)?;
        match kwargs.or("reduction", String::from("mean"))?.as_str() {
            "sum" => Ok(Reduced { sums: true, weight }),
            "mean" => Ok(Reduced { sums: false, weight }),
            other => {
                Err(kwargs.error("reduction", format!("expected sum or mean, found {other:?}")))
            }
        }
    }

    pub(super) fn apply(self, elements: &Tensor) -> Tensor {
        let reduced =
            if self.sums { elements.sum(Kind::Float) } else { elements.mean(Kind::Float) };
        reduced * self.weight
    }
}
