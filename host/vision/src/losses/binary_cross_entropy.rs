//! Binary cross entropy of logits.
//!
//! Source: MMDetection `models/losses/cross_entropy_loss.py`, `CrossEntropyLoss` with `use_sigmoid=True`.

use tch::{Reduction, Tensor};

use super::Reduced;
use crate::BuildError;
use crate::config::Kwargs;

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

    pub(crate) fn read(kwargs: Kwargs<'_>) -> Result<BinaryCrossEntropy, BuildError> {
        kwargs.one_of(&["CrossEntropyLoss"])?;
        if !kwargs.or("use_sigmoid", false)? {
            return Err(kwargs.error("use_sigmoid", "only true is known here"));
        }
        if kwargs.raw("class_weight").is_some() || kwargs.or("use_mask", false)? {
            return Err(kwargs.error("class_weight", "class weights and masks are not known yet"));
        }
        // Both are about labels that are left out; targets of a dense head have none.
        kwargs.accept(&["ignore_index", "avg_non_ignore"]);
        let reduced = Reduced::read(&kwargs)?;
        kwargs.finish()?;
        Ok(BinaryCrossEntropy { reduced })
    }

    /// Shapes: both of the same shape; targets 0 to 1.
    pub(crate) fn forward(self, logits: &Tensor, targets: &Tensor) -> Tensor {
        self.reduced.apply(&logits.binary_cross_entropy_with_logits::<Tensor>(
            targets,
            None,
            None,
            Reduction::None,
        ))
    }
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
