//! `MixUp` and `CachedMixUp`: a second picture shines through.
//! Knows nothing of how its partner is loaded.

use snaphook_components::data as declared;

use super::{Mixing, Surroundings, Transform};
use crate::dataset::Dataset;
use crate::image::{FlipDirection, Image, resize};
use crate::{DataError, Sample, SampleRng};

/// Averages a sample with another one, scaled, perhaps mirrored, and cut to its size.
#[derive(Debug)]
pub(super) struct MixUp {
    img_scale: [usize; 2],
    ratio_range: [f64; 2],
    flip_ratio: f64,
    pad_val: [u8; 3],
    max_iters: usize,
    bbox_clip_border: bool,
    prob: f64,
    mixing: Mixing,
}

impl MixUp {
    pub(super) fn new(declared: &declared::MixUp) -> Self {
        Self {
            img_scale: declared.img_scale.into(),
            ratio_range: declared.ratio_range.into(),
            flip_ratio: declared.flip_ratio,
            pad_val: declared.pad_val.0,
            max_iters: declared.max_iters,
            bbox_clip_border: declared.bbox_clip_border,
            prob: 1.0,
            mixing: Mixing::OtherDataset,
        }
    }

    pub(super) fn cached(declared: &declared::CachedMixUp) -> Self {
        Self {
            img_scale: declared.img_scale.into(),
            ratio_range: declared.ratio_range.into(),
            flip_ratio: declared.flip_ratio,
            pad_val: declared.pad_val.0,
            max_iters: declared.max_iters,
            bbox_clip_border: declared.bbox_clip_border,
            prob: declared.prob,
            mixing: Mixing::SamePipeline,
        }
    }

    /// The partner on a canvas of `img_scale`, then scaled by `jitter`; with the factor for its boxes.
    fn scaled_partner(&self, image: &Image, jitter: f64) -> (Image, f64) {
        let [width, height] = self.img_scale;
        let ratio =
            (height as f64 / image.height() as f64).min(width as f64 / image.width() as f64);
        let side = |n: usize, factor: f64| ((n as f64 * factor) as usize).max(1);
        let fitted = resize(image, side(image.width(), ratio), side(image.height(), ratio));
        let canvas = fitted.padded(width, height, self.pad_val);
        let jittered = resize(&canvas, side(width, jitter), side(height, jitter));
        (jittered, ratio * jitter)
    }
}

fn random_offset(rng: &mut SampleRng, have: usize, want: usize) -> usize {
    if have > want { rng.below(have - want) } else { 0 }
}

/// The mean of two pictures of one size, rounded down.
fn average(image: &mut Image, other: &Image) {
    for (a, b) in image.data_mut().iter_mut().zip(other.data()) {
        *a = ((u16::from(*a) + u16::from(*b)) / 2) as u8;
    }
}

impl Transform for MixUp {
    fn mixing(&self) -> Mixing {
        self.mixing
    }

    fn partners(&self, dataset: &dyn Dataset, rng: &mut SampleRng) -> Vec<usize> {
        if self.mixing == Mixing::SamePipeline && rng.unit() > self.prob {
            return Vec::new();
        }
        let mut index = rng.below(dataset.len());
        for _ in 1..self.max_iters {
            if !dataset.record(index).instances.is_empty() {
                break;
            }
            index = rng.below(dataset.len());
        }
        vec![index]
    }

    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let Some(mut partner) = around.partners.pop() else { return Ok(Some(sample)) };
        if partner.boxes.is_empty() {
            return Ok(Some(sample));
        }
        let jitter = around.rng.uniform(self.ratio_range[0], self.ratio_range[1]);
        let is_flipped = around.rng.unit() > self.flip_ratio;
        let (mut image, factor) = self.scaled_partner(&partner.image, jitter);
        let shape = image.shape();
        partner.rescale_boxes(factor as f32, factor as f32);
        if self.bbox_clip_border {
            partner.clip_boxes(shape);
        }
        if is_flipped {
            image.flip(FlipDirection::Horizontal);
            partner.flip_boxes(shape, FlipDirection::Horizontal);
        }
        let [height, width] = sample.image.shape();
        let padded = image.padded(width, height, self.pad_val);
        let y = random_offset(around.rng, padded.height(), height);
        let x = random_offset(around.rng, padded.width(), width);
        average(&mut sample.image, &padded.cropped(x, y, width, height));
        partner.translate_boxes(-(x as f32), -(y as f32));
        if self.bbox_clip_border {
            partner.clip_boxes([height, width]);
        }
        sample.append_boxes(partner);
        sample.retain_inside([height, width]);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply_with;
    use serde_json::json;

    fn config() -> serde_json::Value {
        json!({"type": "MixUp", "img_scale": [16, 16], "ratio_range": [1, 1], "flip_ratio": 1.0})
    }

    #[test]
    fn pictures_are_averaged_and_boxes_joined() {
        let mut bright = grey_sample(8, 8, [1.0, 1.0, 4.0, 4.0]);
        bright.set_image(Image::filled(8, 8, [201; 3]));
        let mixed =
            apply_with(&config(), grey_sample(16, 16, [0.0, 0.0, 2.0, 2.0]), vec![bright], 0)
                .unwrap();
        assert_eq!(mixed.image.pixel(5, 5), [164; 3]);
        assert_eq!(mixed.boxes, [[0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 8.0, 8.0]]);
    }

    #[test]
    fn a_partner_without_boxes_changes_nothing() {
        let mut empty = grey_sample(8, 8, [0.0; 4]);
        empty.retain_boxes(|_| false);
        let mixed =
            apply_with(&config(), grey_sample(16, 16, [0.0, 0.0, 2.0, 2.0]), vec![empty], 0)
                .unwrap();
        assert_eq!(mixed.image.pixel(5, 5), [128; 3]);
    }
}
