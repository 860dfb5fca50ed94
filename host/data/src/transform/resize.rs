//! `Resize`: to a size, or by a factor, with or without keeping the ratio of the sides.
//! Knows nothing of how pixels are interpolated.

use snaphook_components::{OneOrTwo, data as declared};

use super::{Surroundings, Transform};
use crate::image::resize;
use crate::{DataError, Sample};

/// Resizes picture and boxes.
#[derive(Debug)]
pub(super) struct Resize {
    goal: Goal,
    keep_ratio: bool,
    clip_object_border: bool,
}

#[derive(Debug)]
enum Goal {
    /// (width, height).
    Size([usize; 2]),
    /// (horizontal, vertical).
    Factor([f64; 2]),
}

impl Resize {
    pub(super) fn new(declared: &declared::Resize) -> Self {
        let factor = declared.scale_factor.map_or([1.0; 2], OneOrTwo::both);
        Self {
            goal: declared.scale.map_or(Goal::Factor(factor), |scale| Goal::Size(scale.both())),
            keep_ratio: declared.keep_ratio,
            clip_object_border: declared.clip_object_border,
        }
    }

    /// The new (width, height).
    fn new_size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let by = |side: usize, factor: f64| ((side as f64 * factor + 0.5) as usize).max(1);
        let goal = match self.goal {
            Goal::Size(size) => size,
            Goal::Factor([x, y]) => [by(width, x), by(height, y)],
        };
        if !self.keep_ratio {
            return goal;
        }
        let (long, short) = (goal[0].max(goal[1]) as f64, goal[0].min(goal[1]) as f64);
        let factor = (long / width.max(height) as f64).min(short / width.min(height) as f64);
        [by(width, factor), by(height, factor)]
    }
}

impl Transform for Resize {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        let [height, width] = sample.image.shape();
        let [new_width, new_height] = self.new_size([height, width]);
        if [new_width, new_height] != [width, height] {
            sample.set_image(resize(&sample.image, new_width, new_height));
        }
        let factor = [new_width as f32 / width as f32, new_height as f32 / height as f32];
        sample.meta.scale_factor = factor;
        sample.rescale_boxes(factor[0], factor[1]);
        if self.clip_object_border {
            sample.clip_boxes([new_height, new_width]);
        }
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
    fn boxes_are_scaled_and_clipped() {
        let config = json!({"type": "Resize", "scale": [5, 4]});
        let sample = apply(&config, grey_sample(10, 4, [2.0, 1.0, 12.0, 3.0])).unwrap();
        assert_eq!(sample.boxes, [[1.0, 1.0, 5.0, 3.0]]);
        assert_eq!(sample.meta.scale_factor, [0.5, 1.0]);
    }
}
