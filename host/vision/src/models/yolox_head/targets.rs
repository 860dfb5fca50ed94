//! Which prior is to say what: runs the assignment on all pictures of a batch at once.

use tch::{Device, Kind, Tensor};

use super::YoloxHead;
use super::forward::HeadOutputs;
use super::priors::Priors;
use crate::boxes::{Corners, to_host};
use crate::sim_ota::{Match, Predicted, Targets};

/// The logarithm of a probability is not taken to be below this.
///
/// Source: PyTorch's `binary_cross_entropy`.
const SMALLEST_LOG: f64 = -100.0;

/// The matches of a whole batch as tensors; a row per match.
#[derive(Debug)]
pub(super) struct BatchTargets {
    /// Number of matches, M.
    pub(super) positives: usize,
    /// Row among all priors of all pictures. Shapes: [M] i64.
    pub(super) rows: Tensor,
    /// Row among the priors of its picture. Shapes: [M] i64.
    pub(super) prior_rows: Tensor,
    /// Overlap in the column of the class, zero elsewhere. Shapes: [M, C] f32.
    pub(super) classes: Tensor,
    /// Boxes to be found. Shapes: [M, 4] f32.
    pub(super) boxes: Tensor,
}

/// Numbers of a batch on the CPU; a row per prior, picture after picture.
struct HostPredictions {
    boxes: Vec<f32>,
    refusal_cost: Vec<f32>,
    class_cost: Vec<f32>,
}

impl YoloxHead {
    /// One `Targets` per picture; needs no gradient.
    pub(super) fn match_batch(
        &self,
        outputs: &HeadOutputs,
        priors: &Priors,
        targets: &[Targets],
    ) -> BatchTargets {
        let host = tch::no_grad(|| HostPredictions::new(outputs, priors));
        let matches = self.match_pictures(&host, priors, targets);
        self.to_tensors(&matches, priors.centers.len(), targets, outputs.boxes.device())
    }

    /// Pictures are independent: they are shared out among as many threads as libtorch uses, which rests now.
    fn match_pictures(
        &self,
        host: &HostPredictions,
        priors: &Priors,
        targets: &[Targets],
    ) -> Vec<Vec<Match>> {
        let (assigner, classes, centers) = (self.assigner, self.num_classes, &priors.centers[..]);
        let one = |picture: usize| {
            let predicted = host.picture(picture, centers.len(), classes);
            assigner.assign(centers, predicted, &targets[picture])
        };
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let share = targets.len().div_ceil(threads).max(1);
        let mut matches: Vec<Vec<Match>> = vec![Vec::new(); targets.len()];
        std::thread::scope(|scope| {
            for (first, results) in matches.chunks_mut(share).enumerate() {
                let one = &one;
                scope.spawn(move || {
                    for (i, result) in results.iter_mut().enumerate() {
                        *result = one(first * share + i);
                    }
                });
            }
        });
        matches
    }

    fn to_tensors(
        &self,
        matches: &[Vec<Match>],
        priors: usize,
        targets: &[Targets],
        device: Device,
    ) -> BatchTargets {
        let (mut rows, mut prior_rows) = (Vec::<i64>::new(), Vec::<i64>::new());
        let (mut classes, mut boxes) = (Vec::<f32>::new(), Vec::<Corners>::new());
        for (picture, matches) in matches.iter().enumerate() {
            for found in matches {
                rows.push((picture * priors + found.prior) as i64);
                prior_rows.push(found.prior as i64);
                boxes.push(targets[picture].boxes[found.target]);
                let label = targets[picture].labels[found.target];
                let overlap = |class| if class == label { found.iou } else { 0.0 };
                classes.extend((0..self.num_classes).map(overlap));
            }
        }
        BatchTargets {
            positives: rows.len(),
            rows: Tensor::from_slice(&rows).to_device(device),
            prior_rows: Tensor::from_slice(&prior_rows).to_device(device),
            classes: Tensor::from_slice(&classes).view([-1, self.num_classes]).to_device(device),
            boxes: Tensor::from_slice(boxes.as_flattened()).view([-1, 4]).to_device(device),
        }
    }
}

impl HostPredictions {
    /// The score that the assignment goes by is the root of class times objectness.
    fn new(outputs: &HeadOutputs, priors: &Priors) -> HostPredictions {
        let boxes = Priors::decode(&outputs.boxes.detach(), &priors.points, &priors.strides);
        let score =
            (outputs.classes.detach().sigmoid() * outputs.objectness.detach().sigmoid()).sqrt();
        let log_yes = score.log().clamp_min(SMALLEST_LOG);
        let log_no = (-score).log1p().clamp_min(SMALLEST_LOG);
        let refusal_cost = -log_no.sum_dim_intlist(-1_i64, false, Kind::Float);
        HostPredictions {
            boxes: to_host(&boxes),
            refusal_cost: to_host(&refusal_cost),
            class_cost: to_host(&(log_no - log_yes)),
        }
    }

    fn picture(&self, picture: usize, priors: usize, classes: i64) -> Predicted<'_> {
        let classes = classes as usize;
        let rows = |numbers, width: usize| part(numbers, picture, priors * width);
        Predicted {
            boxes: rows(&self.boxes, 4).as_chunks().0,
            refusal_cost: rows(&self.refusal_cost, 1),
            class_cost: rows(&self.class_cost, classes),
            classes,
        }
    }
}

fn part(numbers: &[f32], index: usize, length: usize) -> &[f32] {
    &numbers[index * length..(index + 1) * length]
}
