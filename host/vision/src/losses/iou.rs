//! Loss from the overlap of boxes.
//!
//! Source: arXiv 1608.01471; MMDetection `models/losses/iou_loss.py`, `structures/bbox/bbox_overlaps.py`.

use serde_json::Value as Json;
use snaphook_components::vision::{self, IouMode};
use snaphook_components::{ComponentError, read};
use tch::Tensor;

use super::Reduced;

/// Smallest area of a union, so that two empty boxes have an overlap of zero.
const SMALLEST_UNION: f64 = 1e-6;

/// Loss of predicted boxes against their targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IouLoss {
    mode: IouMode,
    eps: f64,
    reduced: Reduced,
}

impl IouLoss {
    /// The one of YOLOX: square, summed, weight 5.
    pub(crate) fn yolox() -> IouLoss {
        IouLoss { mode: IouMode::Square, eps: 1e-16, reduced: Reduced::sum(5.0) }
    }

    /// `-log` of the overlap, weight 1.
    pub(super) fn log() -> IouLoss {
        IouLoss { mode: IouMode::Log, eps: 1e-6, reduced: Reduced::unit() }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<IouLoss, ComponentError> {
        let loss: vision::IouLoss = read(value, path)?;
        let reduced = Reduced::new(loss.reduction, loss.loss_weight);
        Ok(IouLoss { mode: loss.mode(), eps: loss.eps, reduced })
    }

    /// Shapes: both [N, 4], corners x1, y1, x2, y2.
    pub(crate) fn forward(self, predicted: &Tensor, target: &Tensor) -> Tensor {
        self.reduced.apply(&self.elements(predicted, target))
    }

    /// The loss of each box.
    ///
    /// Shapes: both [N, 4]; the result [N].
    pub(super) fn elements(self, predicted: &Tensor, target: &Tensor) -> Tensor {
        let iou = aligned_iou(predicted, target).clamp_min(self.eps);
        match self.mode {
            IouMode::Linear => 1.0 - iou,
            IouMode::Square => 1.0 - iou.square(),
            IouMode::Log => -iou.log(),
        }
    }
}

/// The overlap of each box with the one in the same row.
///
/// Shapes: both [N, 4], the result [N].
fn aligned_iou(a: &Tensor, b: &Tensor) -> Tensor {
    let corner = |boxes: &Tensor, first: i64| boxes.narrow(1, first, 2);
    let area = |size: Tensor| size.select(1, 0) * size.select(1, 1);
    let low = corner(a, 0).maximum(&corner(b, 0));
    let high = corner(a, 2).minimum(&corner(b, 2));
    let overlap = area((high - low).clamp_min(0.0));
    let area_a = area(corner(a, 2) - corner(a, 0));
    let area_b = area(corner(b, 2) - corner(b, 0));
    let union = (area_a + area_b - &overlap).clamp_min(SMALLEST_UNION);
    overlap / union
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn loss(mode: &str) -> f64 {
        let config = json!({"type": "IoULoss", "mode": mode, "reduction": "sum"});
        let loss = IouLoss::read(&config, "loss_bbox").unwrap();
        // Two squares of 2 x 2, one pixel apart in x: overlap 2, union 6.
        let a = Tensor::from_slice(&[0.0_f32, 0.0, 2.0, 2.0]).view([1, 4]);
        let b = Tensor::from_slice(&[1.0_f32, 0.0, 3.0, 2.0]).view([1, 4]);
        loss.forward(&a, &b).double_value(&[])
    }

    #[test]
    fn each_mode_has_its_formula() {
        assert!((loss("linear") - 2.0 / 3.0).abs() < 1e-6);
        assert!((loss("square") - 8.0 / 9.0).abs() < 1e-6);
        assert!((loss("log") - 3.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn empty_boxes_have_no_overlap_and_a_finite_loss() {
        let a = Tensor::zeros([1, 4], (tch::Kind::Float, tch::Device::Cpu));
        assert_eq!(IouLoss::yolox().forward(&a, &a).double_value(&[]), 5.0);
    }
}
