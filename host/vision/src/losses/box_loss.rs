//! Losses of the boxes of anchors and regions, as differences or as whole boxes.
//!
//! Source: MMDetection `models/losses/{smooth_l1_loss,iou_loss}.py`; arXiv 1504.08083, 1902.09630, 1911.08287, 1711.00164.

use std::f64::consts::PI;

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, read, type_name, vision};
use tch::{Kind, Tensor};

use super::Reduced;
use super::iou::IouLoss;

/// A loss of boxes that is divided by a count of the head's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoxLoss {
    kind: BoxKind,
    reduced: Reduced,
}

#[derive(Clone, Copy, Debug)]
enum BoxKind {
    L1,
    SmoothL1 { beta: f64 },
    Iou(IouLoss),
    Giou { eps: f64 },
    Diou { eps: f64 },
    Ciou { eps: f64 },
    Bounded { beta: f64, eps: f64 },
}

impl BoxLoss {
    /// Absolute difference, rounded at its foot; weight 1.
    pub(crate) fn smooth_l1(beta: f64) -> BoxLoss {
        BoxLoss { kind: BoxKind::SmoothL1 { beta }, reduced: Reduced::unit() }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<BoxLoss, ComponentError> {
        macro_rules! read_as {
            ($own:ident: $kind:ty => $built:expr) => {{
                let $own: $kind = read(value, path)?;
                let reduced = Reduced::counted($own.reduction, $own.loss_weight, path)?;
                Ok(BoxLoss { kind: $built, reduced })
            }};
        }
        match type_name(Role::Loss, value, path)? {
            "L1Loss" => read_as!(own: vision::L1Loss => BoxKind::L1),
            "SmoothL1Loss" => {
                read_as!(own: vision::SmoothL1Loss => BoxKind::SmoothL1 { beta: own.beta })
            }
            "IoULoss" => {
                read_as!(own: vision::IouLoss => BoxKind::Iou(IouLoss::read(value, path)?))
            }
            "GIoULoss" => read_as!(own: vision::GiouLoss => BoxKind::Giou { eps: own.eps }),
            "DIoULoss" => read_as!(own: vision::DiouLoss => BoxKind::Diou { eps: own.eps }),
            "CIoULoss" => read_as!(own: vision::CiouLoss => BoxKind::Ciou { eps: own.eps }),
            "BoundedIoULoss" => read_as!(own: vision::BoundedIouLoss => BoxKind::Bounded {
                beta: own.beta,
                eps: own.eps,
            }),
            _ => Err(Catalog::built_in().unknown(Role::Loss, value, path).into()),
        }
    }

    /// `-log` of the overlap; weight 1.
    pub(crate) fn log_iou() -> BoxLoss {
        BoxLoss { kind: BoxKind::Iou(IouLoss::log()), reduced: Reduced::unit() }
    }

    /// Whether a box has one loss, and not one for each of its numbers.
    pub(crate) fn is_of_whole_boxes(&self) -> bool {
        !matches!(self.kind, BoxKind::L1 | BoxKind::SmoothL1 { .. } | BoxKind::Bounded { .. })
    }

    /// The sum over all boxes, divided by `count`.
    ///
    /// Shapes: both [N, 4].
    pub(crate) fn forward(&self, predicted: &Tensor, target: &Tensor, count: f64) -> Tensor {
        if predicted.size()[0] == 0 {
            return predicted.sum(Kind::Float) * 0.0;
        }
        self.reduced.over(&self.elements(predicted, target), count)
    }

    /// The same with a weight for each box, for a loss of whole boxes.
    ///
    /// Shapes: both boxes [N, 4]; `weights` [N].
    pub(crate) fn weighted(
        &self,
        predicted: &Tensor,
        target: &Tensor,
        weights: &Tensor,
        count: f64,
    ) -> Tensor {
        self.reduced.over(&(self.elements(predicted, target) * weights), count)
    }

    fn elements(&self, predicted: &Tensor, target: &Tensor) -> Tensor {
        match self.kind {
            BoxKind::L1 => (predicted - target).abs(),
            BoxKind::SmoothL1 { beta } => smooth(&(predicted - target).abs(), beta),
            BoxKind::Iou(loss) => loss.elements(predicted, target),
            BoxKind::Giou { eps } => 1.0 - giou(predicted, target, eps),
            BoxKind::Diou { eps } => 1.0 - Overlap::of(predicted, target, eps).diou(),
            BoxKind::Ciou { eps } => ciou_loss(predicted, target, eps),
            BoxKind::Bounded { beta, eps } => bounded(predicted, target, beta, eps),
        }
    }
}

/// Below `beta` the square, above it the value less half of `beta`.
fn smooth(difference: &Tensor, beta: f64) -> Tensor {
    let below = difference.square() * (0.5 / beta);
    below.where_self(&difference.lt(beta), &(difference - 0.5 * beta))
}

fn low(boxes: &Tensor) -> Tensor {
    boxes.narrow(1, 0, 2)
}

fn high(boxes: &Tensor) -> Tensor {
    boxes.narrow(1, 2, 2)
}

fn area(size: &Tensor) -> Tensor {
    size.select(1, 0) * size.select(1, 1)
}

/// The size of the smallest box around both.
fn enclosing(a: &Tensor, b: &Tensor) -> Tensor {
    (high(a).maximum(&high(b)) - low(a).minimum(&low(b))).clamp_min(0.0)
}

fn giou(a: &Tensor, b: &Tensor, eps: f64) -> Tensor {
    let overlap = area(&(high(a).minimum(&high(b)) - low(a).maximum(&low(b))).clamp_min(0.0));
    let own = |boxes: &Tensor| area(&(high(boxes) - low(boxes)));
    let union = (own(a) + own(b) - &overlap).clamp_min(eps);
    let around = area(&enclosing(a, b)).clamp_min(eps);
    overlap / &union - (&around - &union) / &around
}

/// The parts that DIoU and CIoU share.
struct Overlap {
    iou: Tensor,
    /// Squared distance of the middles over the squared diagonal around both.
    distance: Tensor,
}

impl Overlap {
    fn of(a: &Tensor, b: &Tensor, eps: f64) -> Overlap {
        let overlap = area(&(high(a).minimum(&high(b)) - low(a).maximum(&low(b))).clamp_min(0.0));
        let own = |boxes: &Tensor| area(&(high(boxes) - low(boxes)));
        let union = own(a) + own(b) - &overlap + eps;
        let around = enclosing(a, b).square().sum_dim_intlist(1, false, Kind::Float) + eps;
        let twice = (low(b) + high(b)) - (low(a) + high(a));
        let distance = twice.square().sum_dim_intlist(1, false, Kind::Float) / 4.0;
        Overlap { iou: overlap / union, distance: distance / around }
    }

    fn diou(&self) -> Tensor {
        &self.iou - &self.distance
    }
}

/// The angle's weight has no gradient and begins at an overlap of a half.
fn ciou_loss(predicted: &Tensor, target: &Tensor, eps: f64) -> Tensor {
    let overlap = Overlap::of(predicted, target, eps);
    let angle = |boxes: &Tensor| {
        let size = high(boxes) - low(boxes);
        (size.select(1, 0) / (size.select(1, 1) + eps)).atan()
    };
    let shape = (angle(target) - angle(predicted)).square() * (4.0 / (PI * PI));
    let weight = tch::no_grad(|| {
        let begins = overlap.iou.gt(0.5).to_kind(Kind::Float);
        begins * &shape / ((1.0_f64 - &overlap.iou) + &shape)
    });
    1.0 - (overlap.diou() - weight * shape).clamp(-1.0, 1.0)
}

fn bounded(predicted: &Tensor, target: &Tensor, beta: f64, eps: f64) -> Tensor {
    let center = |boxes: &Tensor| (low(boxes) + high(boxes)) * 0.5;
    let size = |boxes: &Tensor| high(boxes) - low(boxes);
    let (own, wanted) = (size(predicted), size(target));
    let away = (center(target) - center(predicted)).abs() * 2.0;
    let place = 1.0 - ((&wanted - &away) / (&wanted + &away + eps)).clamp_min(0.0);
    let ratio = (&wanted / (&own + eps)).minimum(&(&own / (&wanted + eps)));
    smooth(&Tensor::cat(&[place, 1.0_f64 - ratio], 1), beta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tch::Device;

    fn boxes(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).view([-1, 4])
    }

    fn loss(config: Json, predicted: &Tensor) -> f64 {
        let target = boxes(&[0.0, 0.0, 4.0, 4.0]);
        BoxLoss::read(&config, "loss_bbox")
            .unwrap()
            .forward(predicted, &target, 1.0)
            .double_value(&[])
    }

    fn is_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }

    #[test]
    fn each_loss_has_its_formula() {
        // Overlap 8, union 24, around both 6 x 4 with a diagonal of 52, middles 2 apart.
        let moved = boxes(&[2.0, 0.0, 6.0, 4.0]);
        is_near(loss(json!({"type": "IoULoss", "mode": "linear"}), &moved), 2.0 / 3.0);
        is_near(loss(json!({"type": "GIoULoss"}), &moved), 2.0 / 3.0);
        let diou = 1.0 - (1.0 / 3.0 - 4.0 / 52.0);
        is_near(loss(json!({"type": "DIoULoss"}), &moved), diou);
        is_near(loss(json!({"type": "CIoULoss"}), &moved), diou);
        is_near(loss(json!({"type": "L1Loss", "loss_weight": 2.0}), &moved), 8.0);
        is_near(loss(json!({"type": "SmoothL1Loss", "beta": 4.0}), &moved), 2.0 * 0.5);
        // The middle: 1 - (4 - 4) / (4 + 4); sizes are right.
        is_near(loss(json!({"type": "BoundedIoULoss", "eps": 0.0}), &moved), 1.0 - 0.1);
    }

    #[test]
    fn the_shape_counts_from_an_overlap_of_a_half_on() {
        let wide = boxes(&[0.0, 0.0, 4.0, 3.0]);
        let (iou, distance) = (0.75, 0.25 / 32.0);
        let shape = 4.0 / (PI * PI) * ((4.0_f64 / 3.0).atan() - 1.0_f64.atan()).powi(2);
        let expected = 1.0 - (iou - distance - shape * shape / (1.0 - iou + shape));
        is_near(loss(json!({"type": "CIoULoss"}), &wide), expected);
    }

    #[test]
    fn no_boxes_cost_nothing_and_keep_the_graph() {
        let none = Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let loss = BoxLoss::smooth_l1(1.0).forward(&none, &none.detach(), 0.0);
        assert!(loss.requires_grad() && loss.double_value(&[]) == 0.0);
    }
}
