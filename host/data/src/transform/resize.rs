//! `Resize` and `FixScaleResize`: to a size, or by a factor, with or without keeping the ratio of the sides.
//! Knows nothing of how pixels are interpolated.
//!
//! Source: mmcv 2.1 `transforms/processing.py`, `image/geometric.py`; MMDetection 3.3.0 `FixScaleResize`, which rounds
//! the sides down where `Resize` rounds to the nearest.

use snaphook_components::{OneOrTwo, data as declared};

use super::{Surroundings, Transform};
use crate::image::{Interpolation, resize_by};
use crate::{DataError, Sample};

/// Resizes picture and boxes to the same goal each time.
#[derive(Debug)]
pub(super) struct Resize {
    goal: Goal,
    resizer: Resizer,
}

/// How picture and boxes are resized, whatever the goal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resizer {
    pub(super) keep_ratio: bool,
    pub(super) clip_object_border: bool,
    pub(super) rounds_down: bool,
    pub(super) interpolation: Interpolation,
}

/// What to resize to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// (width, height).
    Size([usize; 2]),
    /// (horizontal, vertical).
    Factor([f64; 2]),
}

impl Goal {
    fn of(scale: Option<OneOrTwo<usize>>, factor: Option<OneOrTwo<f64>>) -> Self {
        let factor = factor.map_or([1.0; 2], OneOrTwo::both);
        scale.map_or(Self::Factor(factor), |scale| Self::Size(scale.both()))
    }
}

impl Resize {
    pub(super) fn new(declared: &declared::Resize) -> Self {
        let declared::Resize { keep_ratio, clip_object_border, .. } = *declared;
        let interpolation = Interpolation::named(&declared.interpolation);
        let resizer = Resizer { keep_ratio, clip_object_border, rounds_down: false, interpolation };
        Self { goal: Goal::of(declared.scale, declared.scale_factor), resizer }
    }

    pub(super) fn rounding_down(declared: &declared::FixScaleResize) -> Self {
        let declared::FixScaleResize { keep_ratio, clip_object_border, .. } = *declared;
        let interpolation = Interpolation::named(&declared.interpolation);
        let resizer = Resizer { keep_ratio, clip_object_border, rounds_down: true, interpolation };
        Self { goal: Goal::of(declared.scale, declared.scale_factor), resizer }
    }
}

impl Resizer {
    /// The new (width, height).
    fn new_size(self, [height, width]: [usize; 2], goal: Goal) -> [usize; 2] {
        let by = |side: usize, factor: f64, offset: f64| {
            ((side as f64 * factor + offset) as usize).max(1)
        };
        let goal = match goal {
            Goal::Size(size) => size,
            Goal::Factor([x, y]) => [by(width, x, 0.5), by(height, y, 0.5)],
        };
        if !self.keep_ratio {
            return goal;
        }
        let (long, short) = (goal[0].max(goal[1]) as f64, goal[0].min(goal[1]) as f64);
        let factor = (long / width.max(height) as f64).min(short / width.min(height) as f64);
        let offset = if self.rounds_down { 0.0 } else { 0.5 };
        [by(width, factor, offset), by(height, factor, offset)]
    }

    pub(super) fn apply(self, sample: &mut Sample, goal: Goal) {
        let [height, width] = sample.image.shape();
        let [new_width, new_height] = self.new_size([height, width], goal);
        if [new_width, new_height] != [width, height] {
            sample.set_image(resize_by(&sample.image, new_width, new_height, self.interpolation));
        }
        let factor = [new_width as f32 / width as f32, new_height as f32 / height as f32];
        sample.meta.scale_factor = factor;
        sample.rescale_boxes(factor[0], factor[1]);
        if self.clip_object_border {
            sample.clip_boxes([new_height, new_width]);
        }
    }
}

impl Transform for Resize {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        self.resizer.apply(&mut sample, self.goal);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply;
    use serde_json::json;

    fn shape(config: serde_json::Value) -> [usize; 2] {
        apply(&config, grey_sample(640, 480, [0.0; 4])).unwrap().meta.img_shape
    }

    #[test]
    fn kept_ratio_fits_into_the_scale() {
        assert_eq!(
            shape(json!({"type": "Resize", "scale": [320, 320], "keep_ratio": true})),
            [240, 320]
        );
        assert_eq!(
            shape(json!({"type": "Resize", "scale": [1333, 800], "keep_ratio": true})),
            [800, 1067]
        );
        assert_eq!(shape(json!({"type": "Resize", "scale": [320, 100]})), [100, 320]);
        assert_eq!(shape(json!({"type": "Resize", "scale_factor": 0.5})), [240, 320]);
    }

    #[test]
    fn a_fixed_scale_is_rounded_down() {
        let of = |name: &str| shape(json!({"type": name, "scale": [801, 599], "keep_ratio": true}));
        assert_eq!((of("Resize"), of("FixScaleResize")), ([599, 799], [599, 798]));
    }

    #[test]
    fn the_interpolation_is_the_one_that_is_asked_for() {
        let mut steep = grey_sample(2, 1, [0.0; 4]);
        steep.image.data_mut().copy_from_slice(&[0, 0, 0, 100, 100, 100]);
        let levels = |name: &str, interpolation: &str| -> Vec<u8> {
            let config = json!({"type": name, "scale": [4, 1], "interpolation": interpolation});
            let resized = apply(&config, steep.clone()).unwrap();
            resized.image.data().iter().step_by(3).copied().collect()
        };
        assert_eq!(levels("Resize", "nearest"), [0, 0, 100, 100]);
        assert_eq!(levels("FixScaleResize", "bilinear"), [0, 25, 75, 100]);
        assert_eq!(levels("Resize", "bicubic"), [0, 23, 77, 111]);
    }

    #[test]
    fn boxes_are_scaled_and_clipped() {
        let config = json!({"type": "Resize", "scale": [5, 4]});
        let sample = apply(&config, grey_sample(10, 4, [2.0, 1.0, 12.0, 3.0])).unwrap();
        assert_eq!(sample.boxes, [[1.0, 1.0, 5.0, 3.0]]);
        assert_eq!(sample.meta.scale_factor, [0.5, 1.0]);
    }
}
