//! Hard non-maximum suppression by tensor operations, for boxes on a GPU: the same boxes in the same order as the loop
//! over them on the CPU, to the box. Knows nothing of configs.
//!
//! Boxes stand in the order of their scores, and are looked at in blocks. Within a block, who stays is the fixed point of
//! `stays = nobody that stays overlaps me and is better`: after k rounds the first k boxes are right, and so there is one
//! fixed point, which is found as soon as a round changes nothing. Heaps of boxes are shallow, so that few rounds are
//! needed. What stays then puts out later blocks. Overlaps are the same sums, products and quotients of single precision.

use tch::{Kind, Tensor};

/// Boxes whose overlaps with each other are looked at at once.
const BLOCK: i64 = 1024;

/// How classes are kept apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Apart {
    /// Boxes of each class are moved away from those of others.
    pub(crate) is_moved: bool,
    /// Labels are compared as well.
    pub(crate) is_compared: bool,
}

/// The rows that stay, best first; equal scores keep their order.
///
/// Shapes: `boxes` [N, 4] f32, `scores` [N] f32, `labels` [N] i64; the result [K] i64.
pub(crate) fn hard_rows(
    boxes: &Tensor,
    scores: &Tensor,
    labels: &Tensor,
    threshold: f32,
    apart: Apart,
) -> Tensor {
    let order = scores.argsort_stable(true, 0, true);
    if order.numel() == 0 {
        return order;
    }
    let moved = if apart.is_moved {
        let step = boxes.max() + 1.0;
        boxes + (labels.to_kind(Kind::Float) * step).unsqueeze(1)
    } else {
        boxes.shallow_clone()
    };
    let sorted = Sorted {
        boxes: moved.index_select(0, &order),
        labels: apart.is_compared.then(|| labels.index_select(0, &order)),
        threshold: f64::from(threshold),
    };
    order.index_select(0, &sorted.stays().nonzero().squeeze_dim(1))
}

/// Boxes, best first.
struct Sorted {
    boxes: Tensor,
    labels: Option<Tensor>,
    threshold: f64,
}

impl Sorted {
    /// Shapes: the result [N] bool.
    fn stays(&self) -> Tensor {
        let count = self.boxes.size()[0];
        let stays = Tensor::ones([count], (Kind::Bool, self.boxes.device()));
        let mut first = 0;
        while first < count {
            let length = BLOCK.min(count - first);
            let own = stays.narrow(0, first, length);
            let better = self.overlaps((first, length), (first, length)).triu(1);
            let alive = own.copy();
            loop {
                let next = alive.logical_and(&puts_out(&own, &better).logical_not());
                let is_done = next.equal(&own);
                own.shallow_clone().copy_(&next);
                if is_done {
                    break;
                }
            }
            let rest = first + length;
            if rest < count {
                let later = self.overlaps((first, length), (rest, count - rest));
                let mut others = stays.narrow(0, rest, count - rest);
                let _ = others.logical_and_(&puts_out(&own, &later).logical_not());
            }
            first = rest;
        }
        stays
    }

    /// Whether each of some boxes overlaps each of others too much; ranges are (first, length).
    ///
    /// Shapes: the result [A, B] bool.
    fn overlaps(&self, a: (i64, i64), b: (i64, i64)) -> Tensor {
        let sides = |(first, length): (i64, i64), dim: i64| {
            let boxes = self.boxes.narrow(0, first, length);
            let corner = |i: i64| boxes.select(1, i).unsqueeze(dim);
            let area = (corner(2) - corner(0)) * (corner(3) - corner(1));
            ([0, 1, 2, 3].map(corner), area)
        };
        let (([ax1, ay1, ax2, ay2], a_area), ([bx1, by1, bx2, by2], b_area)) =
            (sides(a, 1), sides(b, 0));
        // These two ignore what is no number, as the loop on the CPU does.
        let zero = Tensor::zeros([], (Kind::Float, self.boxes.device()));
        let length = |low: (&Tensor, &Tensor), high: (&Tensor, &Tensor)| {
            (high.0.fmin(high.1) - low.0.fmax(low.1)).fmax(&zero)
        };
        let both = length((&ax1, &bx1), (&ax2, &bx2)) * length((&ay1, &by1), (&ay2, &by2));
        let union = a_area + b_area - &both;
        let is_over = (both / union).gt(self.threshold);
        match &self.labels {
            None => is_over,
            Some(labels) => {
                let own = |(first, length): (i64, i64)| labels.narrow(0, first, length);
                is_over.logical_and(&own(a).unsqueeze(1).eq_tensor(&own(b).unsqueeze(0)))
            }
        }
    }
}

/// Whether any box that stays overlaps each of the others. Shapes: `stays` [A], `overlaps` [A, B]; the result [B] bool.
fn puts_out(stays: &Tensor, overlaps: &Tensor) -> Tensor {
    overlaps.logical_and(&stays.unsqueeze(1)).any_dim(0, false)
}
