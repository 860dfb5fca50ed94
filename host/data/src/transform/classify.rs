//! The transforms of classifiers: `ResizeEdge`, `CenterCrop`, `RandomResizedCrop`.
//! Knows nothing of how pixels are interpolated.
//!
//! Source: MMPretrain 1.x `datasets/transforms/processing.py`, mmcv 2.1 `transforms/processing.py` (`CenterCrop`).

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::{Interpolation, resize_by};
use crate::{DataError, Sample, SampleRng};

/// Resizes picture and boxes.
fn resize_to(sample: &mut Sample, [width, height]: [usize; 2], interpolation: Interpolation) {
    let [old_height, old_width] = sample.image.shape();
    if [width, height] != [old_width, old_height] {
        sample.set_image(resize_by(&sample.image, width, height, interpolation));
    }
    let factor = [width as f32 / old_width as f32, height as f32 / old_height as f32];
    sample.meta.scale_factor = factor;
    sample.rescale_boxes(factor[0], factor[1]);
}

/// Gives one edge a length; the ratio of the sides stays.
#[derive(Debug)]
pub(super) struct ResizeEdge {
    length: usize,
    edge: Edge,
    interpolation: Interpolation,
}

#[derive(Debug)]
enum Edge {
    Short,
    Long,
    Width,
    Height,
}

impl ResizeEdge {
    pub(super) fn new(declared: &declared::ResizeEdge) -> Self {
        let edge = match declared.edge.as_str() {
            "long" => Edge::Long,
            "width" => Edge::Width,
            "height" => Edge::Height,
            _ => Edge::Short,
        };
        let interpolation = Interpolation::named(&declared.interpolation);
        Self { length: declared.scale, edge, interpolation }
    }
}

impl Transform for ResizeEdge {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        let [height, width] = sample.image.shape();
        let is_width = match self.edge {
            Edge::Short => width < height,
            Edge::Long => width > height,
            Edge::Width => true,
            Edge::Height => false,
        };
        // As there: the product first, then the division, rounded down.
        let other = |side: usize, by: usize| ((self.length * side) / by).max(1);
        let size = match is_width {
            true => [self.length, other(height, width)],
            false => [other(width, height), self.length],
        };
        resize_to(&mut sample, size, self.interpolation);
        Ok(Some(sample))
    }
}

/// Keeps the middle; of a smaller picture, all.
#[derive(Debug)]
pub(super) struct CenterCrop {
    /// Width and height, in pixels.
    size: [usize; 2],
    clips_boxes: bool,
}

impl CenterCrop {
    pub(super) fn new(declared: &declared::CenterCrop) -> Self {
        Self { size: declared.crop_size.both(), clips_boxes: declared.clip_object_border }
    }
}

impl Transform for CenterCrop {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        let [height, width] = sample.image.shape();
        let [own_width, own_height] = [self.size[0].min(width), self.size[1].min(height)];
        let start =
            |side: usize, own: usize| ((side - own) as f64 / 2.0).round_ties_even() as usize;
        sample.crop([start(width, own_width), start(height, own_height), own_width, own_height]);
        if self.clips_boxes {
            sample.clip_boxes(sample.image.shape());
        }
        Ok(Some(sample))
    }
}

/// Cuts out a part of random size and shape, and resizes it.
#[derive(Debug)]
pub(super) struct RandomResizedCrop {
    /// Width and height, in pixels.
    size: [usize; 2],
    shares: [f64; 2],
    ratios: [f64; 2],
    tries: usize,
    interpolation: Interpolation,
}

impl RandomResizedCrop {
    pub(super) fn new(declared: &declared::RandomResizedCrop) -> Self {
        Self {
            size: declared.scale.both(),
            shares: declared.crop_ratio_range.into(),
            ratios: declared.aspect_ratio_range.into(),
            tries: declared.max_attempts,
            interpolation: Interpolation::named(&declared.interpolation),
        }
    }

    /// Left, top, width and height of the part.
    fn part(&self, [height, width]: [usize; 2], rng: &mut SampleRng) -> [usize; 4] {
        let area = (height * width) as f64;
        for _ in 0..self.tries {
            let own = rng.uniform(self.shares[0], self.shares[1]) * area;
            let ratio = rng.uniform(self.ratios[0].ln(), self.ratios[1].ln()).exp();
            let [w, h] =
                [own * ratio, own / ratio].map(|area| area.sqrt().round_ties_even() as usize);
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let y = rng.below(height - h + 1);
                let x = rng.below(width - w + 1);
                return [x, y, w, h];
            }
        }
        self.middle([height, width])
    }

    /// The largest part in the middle whose ratio is within the range.
    fn middle(&self, [height, width]: [usize; 2]) -> [usize; 4] {
        let ratio = width as f64 / height as f64;
        let [least, most] = self.ratios;
        let rounded = |side: f64| (side.round_ties_even() as usize).max(1);
        let [w, h] = if ratio < least {
            [width, rounded(width as f64 / least).min(height)]
        } else if ratio > most {
            [rounded(height as f64 * most).min(width), height]
        } else {
            [width, height]
        };
        [(width - w) / 2, (height - h) / 2, w, h]
    }
}

impl Transform for RandomResizedCrop {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let part = self.part(sample.image.shape(), around.rng);
        sample.crop(part);
        resize_to(&mut sample, self.size, self.interpolation);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::{apply, apply_with};
    use serde_json::{Value, json};

    fn shape(config: Value, [width, height]: [usize; 2]) -> [usize; 2] {
        apply(&config, grey_sample(width, height, [0.0; 4])).unwrap().meta.img_shape
    }

    #[test]
    fn an_edge_gets_its_length_and_the_other_is_rounded_down() {
        let edge = |edge: &str, size| {
            shape(json!({"type": "ResizeEdge", "scale": 32, "edge": edge}), size)
        };
        assert_eq!(edge("short", [50, 33]), [32, 48]);
        assert_eq!(edge("short", [33, 50]), [48, 32]);
        assert_eq!(edge("long", [50, 33]), [21, 32]);
        assert_eq!(edge("width", [50, 33]), [21, 32]);
        assert_eq!(edge("height", [33, 50]), [32, 21]);
        assert_eq!(shape(json!({"type": "ResizeEdge", "scale": 10}), [7, 7]), [10, 10]);
    }

    #[test]
    fn the_middle_is_cut_out_and_boxes_move_along() {
        let config = json!({"type": "CenterCrop", "crop_size": 6});
        // Halves go to the even number: (11 - 6) / 2 is 2, (9 - 6) / 2 is 2.
        let sample = apply(&config, grey_sample(11, 9, [3.0, 2.0, 10.0, 7.0])).unwrap();
        assert_eq!((sample.meta.img_shape, sample.boxes[0]), ([6, 6], [1.0, 0.0, 6.0, 5.0]));
        assert_eq!(shape(json!({"type": "CenterCrop", "crop_size": [4, 20]}), [11, 9]), [9, 4]);
    }

    #[test]
    fn parts_have_their_share_and_shape_before_they_are_resized() {
        for seed in 0..60 {
            let config = json!({"type": "RandomResizedCrop", "scale": 8, "crop_ratio_range": [0.25, 0.5],
                "aspect_ratio_range": [0.5, 2.0]});
            let sample = grey_sample(60, 40, [0.0, 0.0, 60.0, 40.0]);
            let sample = apply_with(&config, sample, vec![], seed).unwrap();
            assert_eq!(sample.meta.img_shape, [8, 8]);
            let [x, y] = sample.meta.scale_factor.map(|factor| 8.0 / factor);
            let (share, ratio) = (x * y / 2400.0, x / y);
            assert!((0.23..0.53).contains(&share) && (0.45..2.2).contains(&ratio), "{x} {y}");
            let [x1, y1, x2, y2] = sample.boxes[0];
            assert!(x1 <= 0.0 && y1 <= 0.0 && x2 >= 8.0 - 1e-3 && y2 >= 8.0 - 1e-3);
        }
    }

    #[test]
    fn where_no_part_fits_the_middle_is_taken() {
        // A share that is the whole picture, of a shape that it does not have.
        let config = json!({"type": "RandomResizedCrop", "scale": [4, 2], "crop_ratio_range": [1.0, 1.0],
            "aspect_ratio_range": [0.5, 2.0]});
        let sample = apply(&config, grey_sample(100, 10, [40.0, 0.0, 60.0, 10.0])).unwrap();
        assert_eq!(sample.meta.img_shape, [2, 4]);
        assert_eq!(sample.boxes[0], [0.0, 0.0, 4.0, 2.0]);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let error = |value: Value| crate::build_transform(&value).unwrap_err().to_string();
        let wrong =
            json!({"type": "RandomResizedCrop", "scale": 8, "crop_ratio_range": [0.5, 0.2]});
        assert!(error(wrong).contains("RandomResizedCrop.crop_ratio_range: expected"));
        let wrong = json!({"type": "ResizeEdge", "scale": 8, "edge": "tall"});
        assert!(error(wrong).contains("ResizeEdge.edge"));
        assert!(error(json!({"type": "CenterCrop", "crop_size": 0})).contains("crop_size"));
    }
}
