//! Absolute difference.
//!
//! Source: MMDetection `models/losses/smooth_l1_loss.py`, `L1Loss`.

use tch::Tensor;

use super::Reduced;
use crate::BuildError;
use crate::config::Kwargs;

/// |prediction - target|.
#[derive(Clone, Copy, Debug)]
pub(crate) struct L1Loss {
    reduced: Reduced,
}

impl L1Loss {
    /// The one of YOLOX: summed, weight 1.
    pub(crate) fn yolox() -> L1Loss {
        L1Loss { reduced: Reduced::sum(1.0) }
    }

    pub(crate) fn read(kwargs: Kwargs<'_>) -> Result<L1Loss, BuildError> {
        kwargs.one_of(&["L1Loss"])?;
        let reduced = Reduced::read(&kwargs)?;
        kwargs.finish()?;
        Ok(L1Loss { reduced })
    }

    /// Shapes: both of the same shape.
    pub(crate) fn forward(self, prediction: &Tensor, target: &Tensor) -> Tensor {
        self.reduced.apply(&(prediction - target).abs())
    }
}
