//! The losses of the head.

use snaphook_c10d::mean_over_ranks;
use snaphook_runner::Losses;
use tch::{Kind, Tensor};

use super::YoloxHead;
use super::forward::HeadOutputs;
use super::priors::Priors;
use super::targets::BatchTargets;
use crate::nn::Mode;
use crate::sim_ota::Targets;

/// Keeps the logarithm of a size finite.
const SIZE_EPS: f64 = 1e-8;

impl YoloxHead {
    /// Losses of a batch, each divided by the number of matched priors (at least one), which is a mean over all processes
    /// that train together.
    ///
    /// Differs from MMDetection in one point: where nothing is matched, the zero that keeps all parameters in
    /// the graph comes from the predictions before their exponential, which cannot be infinite times zero.
    pub(crate) fn losses(
        &mut self,
        outputs: &HeadOutputs,
        targets: &[Targets],
        mode: Mode,
    ) -> Losses {
        let priors = self.priors.get(&outputs.map_sizes);
        let matched = self.match_batch(outputs, &priors, targets);
        // As in MMDetection, where several processes train: the mean over them. In a validation they do not meet.
        let own = matched.positives as f64;
        let samples = if mode == Mode::Train { mean_over_ranks(own) } else { own }.max(1.0);
        let objectness = self.objectness_loss(outputs, &matched) / samples;
        let mut losses = Losses::default();
        let mut push = |name: &str, loss: Tensor| losses.0.push((name.into(), loss));
        if matched.positives == 0 {
            let zero = |predicted: &Tensor| predicted.sum(Kind::Float) * 0.0;
            push("loss_cls", zero(&outputs.classes));
            push("loss_bbox", zero(&outputs.boxes));
            push("loss_obj", objectness);
            if self.use_l1 {
                push("loss_l1", zero(&outputs.boxes));
            }
            return losses;
        }
        let classes = chosen_rows(&outputs.classes, &matched.rows);
        let boxes = chosen_rows(&outputs.boxes, &matched.rows);
        let points = priors.points.index_select(0, &matched.prior_rows);
        let strides = priors.strides.index_select(0, &matched.prior_rows);
        let decoded = Priors::decode(&boxes, &points, &strides);
        push("loss_cls", self.losses.cls.forward(&classes, &matched.classes) / samples);
        push("loss_bbox", self.losses.bbox.forward(&decoded, &matched.boxes) / samples);
        push("loss_obj", objectness);
        if self.use_l1 {
            let target = encode(&matched.boxes, &points, &strides);
            push("loss_l1", self.losses.l1.forward(&boxes, &target) / samples);
        }
        losses
    }

    #[cfg(test)]
    pub(crate) fn found_targets(
        &mut self,
        outputs: &HeadOutputs,
        targets: &[Targets],
    ) -> crate::golden::FoundTargets {
        let priors = self.priors.get(&outputs.map_sizes);
        let matched = self.match_batch(outputs, &priors, targets);
        crate::golden::FoundTargets {
            stage: "yolox",
            count: matched.positives as f64,
            positive: matched.positives,
            labelled: outputs.objectness.numel(),
            boxes: matched.boxes,
        }
    }

    /// Every prior of every picture takes part.
    fn objectness_loss(&self, outputs: &HeadOutputs, matched: &BatchTargets) -> Tensor {
        let objectness = outputs.objectness.reshape([-1]);
        let mut target = objectness.detach().zeros_like();
        let _ = target.index_fill_(0, &matched.rows, 1.0);
        self.losses.obj.forward(&objectness, &target)
    }
}

/// Shapes: `predicted` [N, P, K]; `rows` [M] i64 into N P; the result [M, K].
fn chosen_rows(predicted: &Tensor, rows: &Tensor) -> Tensor {
    predicted.flatten(0, 1).index_select(0, rows)
}

/// What the head would have to predict for these boxes.
///
/// Shapes: `boxes` [M, 4]; `points` [M, 2]; `strides` [M, 1]; the result [M, 4].
fn encode(boxes: &Tensor, points: &Tensor, strides: &Tensor) -> Tensor {
    let (low, high) = (boxes.narrow(1, 0, 2), boxes.narrow(1, 2, 2));
    let center: Tensor = (&low + &high) * 0.5;
    let offset = (center - points) / strides;
    let size: Tensor = (high - low) / strides + SIZE_EPS;
    Tensor::cat(&[offset, size.log()], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_undoes_decoding() {
        let boxes = Tensor::from_slice(&[4.0_f32, 8.0, 20.0, 16.0]).view([1, 4]);
        let points = Tensor::from_slice(&[8.0_f32, 8.0]).view([1, 2]);
        let strides = Tensor::from_slice(&[8.0_f32]).view([1, 1]);
        let encoded = encode(&boxes, &points, &strides);
        let expected = Tensor::from_slice(&[0.5_f32, 0.5, 2.0_f32.ln(), 0.0]).view([1, 4]);
        assert!(encoded.allclose(&expected, 1e-6, 1e-6, false));
        let decoded = Priors::decode(&encoded, &points, &strides);
        assert!(decoded.allclose(&boxes, 1e-5, 1e-5, false));
    }
}
