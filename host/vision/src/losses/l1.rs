//! Absolute difference.
//!
//! Source: MMDetection `models/losses/smooth_l1_loss.py`, `L1Loss`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision};
use tch::Tensor;

use super::Reduced;

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

    pub(crate) fn read(value: &Json, path: &str) -> Result<L1Loss, ComponentError> {
        let vision::L1Loss { reduction, loss_weight } = read(value, path)?;
        Ok(L1Loss { reduced: Reduced::new(reduction, loss_weight) })
    }

    /// Shapes: both of the same shape.
    pub(crate) fn forward(self, prediction: &Tensor, target: &Tensor) -> Tensor {
        self.reduced.apply(&(prediction - target).abs())
    }
}
