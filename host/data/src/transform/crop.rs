//! `RandomCrop`: a part of a given or drawn size.
//! Knows nothing of overlaps; `MinIoURandomCrop` looks at those.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::{DataError, Sample, SampleRng};

/// Cuts a part out of a random place.
#[derive(Debug)]
pub(super) struct RandomCrop {
    size: CropSize,
    allow_negative_crop: bool,
    bbox_clip_border: bool,
}

#[derive(Debug)]
enum CropSize {
    /// (width, height) in pixels.
    Absolute([usize; 2]),
    /// Shortest and longest side in pixels.
    AbsoluteRange([usize; 2]),
    /// (width, height) as shares.
    Relative([f64; 2]),
    /// Smallest shares, (height, width) in this order.
    RelativeRange([f64; 2]),
}

impl RandomCrop {
    pub(super) fn new(declared: &declared::RandomCrop) -> Self {
        let (first, second) = declared.crop_size;
        let size = match declared.crop_type.as_str() {
            "absolute_range" => CropSize::AbsoluteRange([first as usize, second as usize]),
            "relative" => CropSize::Relative([first, second]),
            // MMDetection holds these as single precision.
            "relative_range" => {
                CropSize::RelativeRange([first, second].map(|share| f64::from(share as f32)))
            }
            _ => CropSize::Absolute([first as usize, second as usize]),
        };
        Self {
            size,
            allow_negative_crop: declared.allow_negative_crop,
            bbox_clip_border: declared.bbox_clip_border,
        }
    }

    /// The part's (height, width).
    fn draw_size(&self, [height, width]: [usize; 2], rng: &mut SampleRng) -> [usize; 2] {
        let share = |side: usize, share: f64| (side as f64 * share + 0.5) as usize;
        match self.size {
            CropSize::Absolute([w, h]) => [h.min(height), w.min(width)],
            CropSize::AbsoluteRange([least, most]) => [height, width].map(|side| {
                rng.between(side.min(least) as i64, side.min(most) as i64 + 1) as usize
            }),
            CropSize::Relative([w, h]) => [share(height, h), share(width, w)],
            CropSize::RelativeRange(least) => {
                let [h, w] = least.map(|least| least + rng.unit() * (1.0 - least));
                [share(height, h), share(width, w)]
            }
        }
        .map(|side| side.max(1))
    }
}

impl Transform for RandomCrop {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let shape = sample.image.shape();
        let [height, width] = self.draw_size(shape, around.rng);
        let y = around.rng.below(shape[0].saturating_sub(height) + 1);
        let x = around.rng.below(shape[1].saturating_sub(width) + 1);
        sample.crop([x, y, width, height]);
        if self.bbox_clip_border {
            sample.clip_boxes(sample.image.shape());
        }
        sample.retain_inside(sample.image.shape());
        Ok((self.allow_negative_crop || !sample.boxes.is_empty()).then_some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply_with};
    use serde_json::{Value, json};

    fn crop(mut config: Value, bbox: [f32; 4], seed: u64) -> Option<crate::Sample> {
        config["type"] = json!("RandomCrop");
        apply_with(&config, grey_sample(40, 20, bbox), vec![], seed)
    }

    #[test]
    fn each_type_gives_its_sizes() {
        let all = [0.0, 0.0, 40.0, 20.0];
        let shape = |config, seed| crop(config, all, seed).unwrap().meta.img_shape;
        assert_eq!(shape(json!({"crop_size": [30, 50]}), 0), [20, 30]);
        let relative = json!({"crop_size": [0.5, 0.25], "crop_type": "relative"});
        assert_eq!(shape(relative, 0), [5, 20]);
        for seed in 0..50 {
            let range = json!({"crop_size": [10, 25], "crop_type": "absolute_range"});
            let [height, width] = shape(range, seed);
            assert!((10..=20).contains(&height) && (10..=25).contains(&width));
            let shares = json!({"crop_size": [0.5, 0.5], "crop_type": "relative_range"});
            let [height, width] = shape(shares, seed);
            assert!((10..=20).contains(&height) && (20..=40).contains(&width));
        }
    }

    #[test]
    fn boxes_move_and_a_part_without_any_is_dropped() {
        let sample = crop(json!({"crop_size": [40, 20]}), [1.0, 2.0, 50.0, 9.0], 0).unwrap();
        assert_eq!(sample.boxes, [[1.0, 2.0, 40.0, 9.0]]);
        let small = [39.0, 19.0, 40.0, 20.0];
        let kept =
            (0..40).filter(|seed| crop(json!({"crop_size": [5, 5]}), small, *seed).is_some());
        assert!(kept.count() < 10);
        let negative = json!({"crop_size": [5, 5], "allow_negative_crop": true});
        assert!((0..40).all(|seed| crop(negative.clone(), small, seed).is_some()));
    }

    #[test]
    fn sizes_that_do_not_fit_their_type_are_refused() {
        for (size, kind) in
            [([0.5, 0.5], "absolute"), ([9.0, 5.0], "absolute_range"), ([2.0, 1.0], "relative")]
        {
            let config = json!({"type": "RandomCrop", "crop_size": size, "crop_type": kind});
            let message = build_transform(&config).unwrap_err().to_string();
            assert!(message.contains("RandomCrop.crop_size"), "{message}");
        }
    }
}
