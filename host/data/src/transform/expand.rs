//! `Expand` and `RandomShift`: a picture at another place of a ground.
//! Knows nothing of what is in the picture.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::Image;
use crate::{DataError, Sample};

/// Puts a picture at a random place of a larger ground.
#[derive(Debug)]
pub(super) struct Expand {
    mean: [u8; 3],
    ratio_range: [f64; 2],
    prob: f64,
}

impl Expand {
    pub(super) fn new(declared: &declared::Expand) -> Self {
        let mut mean = declared.mean.0;
        if declared.to_rgb {
            mean.reverse();
        }
        Self { mean, ratio_range: declared.ratio_range.into(), prob: declared.prob }
    }
}

impl Transform for Expand {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        if around.rng.unit() > self.prob {
            return Ok(Some(sample));
        }
        let [low, high] = self.ratio_range;
        let ratio = around.rng.uniform(low, high);
        let (height, width) = (sample.image.height() as f64, sample.image.width() as f64);
        let left = around.rng.uniform(0.0, width * ratio - width) as usize;
        let top = around.rng.uniform(0.0, height * ratio - height) as usize;
        let (new_width, new_height) = ((width * ratio) as usize, (height * ratio) as usize);
        let mut ground = Image::filled(new_width, new_height, self.mean);
        ground.paste(&sample.image, left, top);
        sample.set_image(ground);
        sample.translate_boxes(left as f32, top as f32);
        Ok(Some(sample))
    }
}

/// Moves a picture by a few pixels over a black ground.
#[derive(Debug)]
pub(super) struct RandomShift {
    prob: f64,
    max_shift_px: i64,
    filter_thr_px: f32,
}

impl RandomShift {
    pub(super) fn new(declared: &declared::RandomShift) -> Self {
        let declared::RandomShift { prob, max_shift_px, filter_thr_px } = *declared;
        Self { prob, max_shift_px, filter_thr_px: filter_thr_px as f32 }
    }
}

impl Transform for RandomShift {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        if around.rng.unit() >= self.prob {
            return Ok(Some(sample));
        }
        let mut draw = || around.rng.between(-self.max_shift_px, self.max_shift_px);
        let (dx, dy) = (draw(), draw());
        let [height, width] = sample.image.shape();
        let mut moved = sample.clone();
        moved.translate_boxes(dx as f32, dy as f32);
        moved.clip_boxes([height, width]);
        let least = self.filter_thr_px;
        moved.retain_boxes(|b| b[2] - b[0] > least && b[3] - b[1] > least);
        if moved.boxes.is_empty() {
            return Ok(Some(sample));
        }
        (sample.boxes, sample.labels, sample.ignore) = (moved.boxes, moved.labels, moved.ignore);
        let place = |shift: i64, side: usize| {
            let hidden = (shift.unsigned_abs() as usize).min(side);
            // What is shown begins in the picture, and where it begins on the ground.
            if shift < 0 { (hidden, 0, side - hidden) } else { (0, hidden, side - hidden) }
        };
        let ((x, to_x, columns), (y, to_y, rows)) = (place(dx, width), place(dy, height));
        let mut ground = Image::filled(width, height, [0; 3]);
        ground.paste(&moved.image.cropped(x, y, columns, rows), to_x, to_y);
        sample.set_image(ground);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampleRng;
    use crate::cache::ImageCache;
    use crate::sample::tests::grey_sample;
    use crate::transform::build_transform;
    use serde_json::{Value, json};

    fn with_draws(config: Value, sample: Sample, draws: &[f64]) -> Sample {
        let (mut rng, images) = (SampleRng::recorded(draws.to_vec()), ImageCache::new(0));
        let mut around = Surroundings { rng: &mut rng, images: &images, partners: vec![] };
        build_transform(&config).unwrap().apply(sample, &mut around).unwrap().unwrap()
    }

    #[test]
    fn the_ground_shows_around_an_expanded_picture() {
        let config = json!({"type": "Expand", "mean": [1, 2, 3], "to_rgb": true, "prob": 1.0});
        let sample =
            with_draws(config, grey_sample(4, 2, [1.0, 0.0, 3.0, 2.0]), &[0.0, 2.0, 3.9, 1.2]);
        assert_eq!(sample.meta.img_shape, [4, 8]);
        assert_eq!(sample.boxes, [[4.0, 1.0, 6.0, 3.0]]);
        assert_eq!((sample.image.pixel(0, 0), sample.image.pixel(3, 1)), ([3, 2, 1], [128; 3]));
    }

    #[test]
    fn a_shift_uncovers_black_and_keeps_the_size() {
        let shift = json!({"type": "RandomShift", "prob": 1.0});
        let sample =
            with_draws(shift.clone(), grey_sample(8, 8, [0.0, 0.0, 8.0, 8.0]), &[0.0, 2.0, -3.0]);
        assert_eq!(sample.boxes, [[2.0, 0.0, 8.0, 5.0]]);
        let at = |x, y| sample.image.pixel(x, y)[0];
        assert_eq!([at(1, 0), at(2, 0), at(2, 4), at(2, 5)], [0, 128, 128, 0]);
        let outside =
            with_draws(shift, grey_sample(8, 8, [0.0, 0.0, 2.0, 2.0]), &[0.0, -7.0, -7.0]);
        assert_eq!((outside.boxes.len(), outside.image.pixel(7, 7)), (1, [128; 3]));
    }
}
