//! `RandomAffine`: turns, scales, shears and moves a picture.
//! Knows nothing of mosaics; a negative `border` is what cuts theirs back to size.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::{Affine, warp_affine};
use crate::{DataError, Sample, SampleRng};

/// Draws an affine map and applies it to picture and boxes.
#[derive(Debug)]
pub(super) struct RandomAffine {
    max_rotate_degree: f64,
    max_translate_ratio: f64,
    scaling_ratio_range: [f64; 2],
    max_shear_degree: f64,
    /// Added on either side, (horizontally, vertically).
    border: [i64; 2],
    border_val: [u8; 3],
    bbox_clip_border: bool,
}

impl RandomAffine {
    pub(super) fn new(declared: &declared::RandomAffine) -> Self {
        Self {
            max_rotate_degree: declared.max_rotate_degree,
            max_translate_ratio: declared.max_translate_ratio,
            scaling_ratio_range: declared.scaling_ratio_range.into(),
            max_shear_degree: declared.max_shear_degree,
            border: declared.border.into(),
            border_val: declared.border_val.0,
            bbox_clip_border: declared.bbox_clip_border,
        }
    }

    /// Scale, then turn, then shear, then move: about the picture's corner, as MMDetection does.
    fn random_map(&self, rng: &mut SampleRng, width: f64, height: f64) -> Affine {
        let around_zero = |rng: &mut SampleRng, limit: f64| rng.uniform(-limit, limit);
        let angle = around_zero(rng, self.max_rotate_degree).to_radians();
        let scale = rng.uniform(self.scaling_ratio_range[0], self.scaling_ratio_range[1]);
        let shear_x = around_zero(rng, self.max_shear_degree).to_radians().tan();
        let shear_y = around_zero(rng, self.max_shear_degree).to_radians().tan();
        let move_x = around_zero(rng, self.max_translate_ratio) * width;
        let move_y = around_zero(rng, self.max_translate_ratio) * height;
        let (sin, cos) = (angle.sin() * scale, angle.cos() * scale);
        let turned = Affine([[cos, -sin, 0.0], [sin, cos, 0.0]]);
        Affine([[1.0, shear_x, move_x], [shear_y, 1.0, move_y]]).after(&turned)
    }
}

/// The upright box around a mapped box.
fn mapped(map: &Affine, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
    let corners = [[x1, y1], [x2, y1], [x1, y2], [x2, y2]].map(|p| map.apply(p.map(f64::from)));
    let extreme = |axis: usize, pick: fn(f64, f64) -> f64| {
        corners.iter().map(|c| c[axis]).reduce(pick).unwrap_or_default() as f32
    };
    [extreme(0, f64::min), extreme(1, f64::min), extreme(0, f64::max), extreme(1, f64::max)]
}

impl Transform for RandomAffine {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let grown = |side: usize, border: i64| (side as i64 + 2 * border).max(0) as usize;
        let width = grown(sample.image.width(), self.border[0]);
        let height = grown(sample.image.height(), self.border[1]);
        if width == 0 || height == 0 {
            let reason = format!("nothing is left of a picture of {:?}", sample.image);
            return Err(DataError::config("RandomAffine.border", reason));
        }
        let map = self.random_map(around.rng, width as f64, height as f64);
        sample.set_image(warp_affine(&sample.image, &map, (width, height), self.border_val));
        for bbox in &mut sample.boxes {
            *bbox = mapped(&map, *bbox);
        }
        if self.bbox_clip_border {
            sample.clip_boxes([height, width]);
        }
        sample.retain_inside([height, width]);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply;
    use serde_json::json;

    #[test]
    fn without_chance_only_border_and_scale_act() {
        let config = json!({"type": "RandomAffine", "max_rotate_degree": 0, "max_translate_ratio": 0,
            "max_shear_degree": 0, "scaling_ratio_range": [0.5, 0.5], "border": [-4, -2]});
        let sample = apply(&config, grey_sample(16, 8, [4.0, 2.0, 20.0, 6.0])).unwrap();
        assert_eq!(sample.meta.img_shape, [4, 8]);
        assert_eq!(sample.boxes, [[2.0, 1.0, 8.0, 3.0]]);
        assert_eq!(sample.image.pixel(7, 3), [128; 3]);
    }

    #[test]
    fn boxes_follow_their_object() {
        // A bright square on a dark ground: wherever it goes, its box must hold its pixels.
        for seed in 0..20 {
            let mut sample = grey_sample(64, 64, [20.0, 24.0, 44.0, 40.0]);
            sample.set_image(crate::image::Image::filled(64, 64, [0; 3]));
            sample.image.paste(&crate::image::Image::filled(24, 16, [250; 3]), 20, 24);
            let config = json!({"type": "RandomAffine", "border_val": [0, 0, 0]});
            let moved = crate::transform::tests::apply_with(&config, sample, vec![], seed).unwrap();
            let bright = (0..64 * 64).filter(|i| moved.image.pixel(i % 64, i / 64)[0] > 125);
            let [x1, y1, x2, y2] = moved.boxes[0];
            for i in bright {
                let (x, y) = ((i % 64) as f32, (i / 64) as f32);
                assert!(x >= x1 - 1.0 && x <= x2 + 1.0 && y >= y1 - 1.0 && y <= y2 + 1.0, "{seed}");
            }
        }
    }

    #[test]
    fn a_border_that_leaves_nothing_is_an_error() {
        let transform = crate::transform::build_transform(
            &json!({"type": "RandomAffine", "border": [-40, -40]}),
        );
        let (mut rng, images) = (SampleRng::new(0), crate::cache::ImageCache::new(0));
        let mut around = Surroundings { rng: &mut rng, images: &images, partners: vec![] };
        let result = transform.unwrap().apply(grey_sample(16, 8, [0.0; 4]), &mut around);
        assert!(
            result.unwrap_err().to_string().starts_with("RandomAffine.border: nothing is left")
        );
    }
}
