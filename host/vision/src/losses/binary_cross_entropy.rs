//! Binary cross entropy of logits.
//!
//! Source: MMDetection `models/losses/cross_entropy_loss.py`, `CrossEntropyLoss` with `use_sigmoid=True`.

use serde_json::Value as Json;
use snaphook_components::vision::CrossEntropyLoss;
use snaphook_components::{ComponentError, Problem, ProblemKind, read};
use tch::{Reduction, Tensor};

use super::Reduced;

/// -(t log p + (1 - t) log(1 - p)), p the sigmoid of a logit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BinaryCrossEntropy {
    reduced: Reduced,
}

impl BinaryCrossEntropy {
    /// The one of YOLOX: summed, weight 1.
    pub(crate) fn yolox() -> BinaryCrossEntropy {
        BinaryCrossEntropy { reduced: Reduced::sum(1.0) }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<BinaryCrossEntropy, ComponentError> {
        let CrossEntropyLoss { use_sigmoid, reduction, loss_weight, class_weight, .. } =
            read(value, path)?;
        if !use_sigmoid || class_weight.is_some() {
            let (key, message) = match use_sigmoid {
                true => ("class_weight", "expected none, this head has no weights of classes"),
                false => ("use_sigmoid", "expected true, this head asks for each class by itself"),
            };
            return Err(Problem::new(format!("{path}.{key}"), ProblemKind::Value, message).into());
        }
        Ok(BinaryCrossEntropy { reduced: Reduced::new(reduction, loss_weight) })
    }

    /// One that is divided by a count of the head's; weight 1.
    pub(crate) fn unit() -> BinaryCrossEntropy {
        BinaryCrossEntropy { reduced: Reduced::unit() }
    }

    /// The same from a dict.
    ///
    /// Errors: as [`BinaryCrossEntropy::read`], and a sum.
    pub(crate) fn read_counted(
        value: &Json,
        path: &str,
    ) -> Result<BinaryCrossEntropy, ComponentError> {
        let CrossEntropyLoss { reduction, loss_weight, .. } = read(value, path)?;
        BinaryCrossEntropy::read(value, path)?;
        Ok(BinaryCrossEntropy { reduced: Reduced::counted(reduction, loss_weight, path)? })
    }

    /// The sum over all elements, divided by `count`.
    ///
    /// Shapes: both of the same shape; targets 0 to 1.
    pub(crate) fn over(self, logits: &Tensor, targets: &Tensor, count: f64) -> Tensor {
        self.reduced.over(&elements(logits, targets), count)
    }

    /// Shapes: both of the same shape; targets 0 to 1.
    pub(crate) fn forward(self, logits: &Tensor, targets: &Tensor) -> Tensor {
        self.reduced.apply(&elements(logits, targets))
    }
}

fn elements(logits: &Tensor, targets: &Tensor) -> Tensor {
    logits.binary_cross_entropy_with_logits::<Tensor>(targets, None, None, Reduction::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logit_of_zero_costs_log_two_whatever_the_target() {
        let logits = Tensor::from_slice(&[0.0_f32, 0.0]);
        let targets = Tensor::from_slice(&[1.0_f32, 0.3]);
        let loss = BinaryCrossEntropy::yolox().forward(&logits, &targets).double_value(&[]);
        assert!((loss - 2.0 * 2.0_f64.ln()).abs() < 1e-6);
    }
}
