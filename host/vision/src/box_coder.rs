//! A box as differences from another: middle in sizes of that, logarithm of the ratio of sizes.
//!
//! Source: arXiv 1311.2524 appendix C; MMDetection `models/task_modules/coders/delta_xywh_bbox_coder.py`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision};
use tch::{Device, Kind, Tensor};

/// Sides change by no more than this factor, or its inverse.
const LARGEST_RATIO: f64 = 1000.0 / 16.0;

/// The numbers of the coder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DeltaCoder {
    means: [f32; 4],
    stds: [f32; 4],
    clip_border: bool,
}

impl DeltaCoder {
    /// Means of zero and these deviations.
    pub(crate) fn with_stds(stds: [f32; 4]) -> DeltaCoder {
        DeltaCoder { means: [0.0; 4], stds, clip_border: true }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<DeltaCoder, ComponentError> {
        let declared: vision::DeltaXywhBboxCoder = read(value, path)?;
        let four = |list: &[f64]| std::array::from_fn(|i| list[i] as f32);
        Ok(DeltaCoder {
            means: four(&declared.target_means),
            stds: four(&declared.target_stds),
            clip_border: declared.clip_border,
        })
    }

    /// The differences of `targets` from `boxes`.
    ///
    /// Shapes: both and the result [N, 4].
    pub(crate) fn encode(&self, boxes: &Tensor, targets: &Tensor) -> Tensor {
        let center = |corners: &Tensor| (corners.narrow(1, 0, 2) + corners.narrow(1, 2, 2)) * 0.5;
        let size = |corners: &Tensor| corners.narrow(1, 2, 2) - corners.narrow(1, 0, 2);
        let own_size = size(boxes);
        let moved = (center(targets) - center(boxes)) / &own_size;
        let scaled = (size(targets) / own_size).log();
        (Tensor::cat(&[moved, scaled], 1) - self.means(boxes.device())) / self.stds(boxes.device())
    }

    /// The boxes that differ from `boxes` by `deltas`; cut at the rim of a picture of (height, width) where one is given.
    ///
    /// Shapes: `boxes` [N, 4]; `deltas` and the result [N, 4].
    pub(crate) fn decode(
        &self,
        boxes: &Tensor,
        deltas: &Tensor,
        picture: Option<[usize; 2]>,
    ) -> Tensor {
        let deltas = deltas * self.stds(deltas.device()) + self.means(deltas.device());
        let bound = LARGEST_RATIO.ln();
        let center = (boxes.narrow(1, 0, 2) + boxes.narrow(1, 2, 2)) * 0.5;
        let size = boxes.narrow(1, 2, 2) - boxes.narrow(1, 0, 2);
        let center = center + &size * deltas.narrow(1, 0, 2);
        let half = size * deltas.narrow(1, 2, 2).clamp(-bound, bound).exp() * 0.5;
        let corners = Tensor::cat(&[&center - &half, &center + &half], 1);
        match picture.filter(|_| self.clip_border) {
            None => corners,
            Some([height, width]) => {
                let far = [width, height, width, height].map(|side| side as f32);
                let far = Tensor::from_slice(&far).to_device(corners.device());
                corners.clamp_min(0.0).minimum(&far)
            }
        }
    }

    fn means(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.means).to_kind(Kind::Float).to_device(device)
    }

    fn stds(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.stds).to_kind(Kind::Float).to_device(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).view([-1, 4])
    }

    #[test]
    fn decoding_gives_the_boxes_of_mmdetections_example() {
        let boxes = rows(&[0., 0., 1., 1., 0., 0., 1., 1., 0., 0., 1., 1., 5., 5., 5., 5.]);
        let deltas = rows(&[0., 0., 0., 0., 1., 1., 1., 1., 0., 0., 2., -1., 0.7, -1.9, -0.5, 0.3]);
        let found = DeltaCoder::with_stds([1.0; 4]).decode(&boxes, &deltas, Some([32, 32]));
        let expected = rows(&[
            0.0, 0.0, 1.0, 1.0, 0.1409, 0.1409, 2.8591, 2.8591, 0.0, 0.3161, 4.1945, 0.6839, 5.0,
            5.0, 5.0, 5.0,
        ]);
        // Four digits are given.
        assert!(found.allclose(&expected, 0.0, 1e-4, false), "{found:?}");
    }

    #[test]
    fn encoding_undoes_decoding() {
        let coder = DeltaCoder::with_stds([0.1, 0.1, 0.2, 0.2]);
        let boxes = rows(&[2.0, 3.0, 10.0, 9.0, 0.0, 0.0, 4.0, 4.0]);
        let deltas = rows(&[0.5, -1.0, 0.3, 0.2, -0.5, 1.5, -0.7, 0.9]);
        let targets = coder.decode(&boxes, &deltas, None);
        assert!(coder.encode(&boxes, &targets).allclose(&deltas, 1e-5, 1e-5, false));
    }
}
