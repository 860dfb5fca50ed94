//! `MinIoURandomCrop`: a part that overlaps the objects.
//! Knows nothing of parts of a given size.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::{DataError, Sample, SampleRng};

/// Cuts out a part that every object overlaps by at least what was drawn.
#[derive(Debug)]
pub(super) struct MinIoURandomCrop {
    /// 1 (no crop), the overlaps asked for, 0 (any part).
    modes: Vec<f64>,
    min_crop_size: f64,
    bbox_clip_border: bool,
}

/// Parts that are tried before another overlap is drawn.
const TRIES: usize = 50;

/// Left, top, right, bottom in whole pixels.
type Part = [i64; 4];

impl MinIoURandomCrop {
    pub(super) fn new(declared: &declared::MinIoURandomCrop) -> Self {
        let asked = declared.min_ious.iter().copied();
        Self {
            modes: std::iter::once(1.0).chain(asked).chain([0.0]).collect(),
            min_crop_size: declared.min_crop_size,
            bbox_clip_border: declared.bbox_clip_border,
        }
    }

    /// A part of at most twice as long as wide or the other way; `None` for one that is not.
    fn draw_part(&self, [height, width]: [usize; 2], rng: &mut SampleRng) -> Option<Part> {
        let (height, width) = (height as f64, width as f64);
        let part_width = rng.uniform(self.min_crop_size * width, width);
        let part_height = rng.uniform(self.min_crop_size * height, height);
        let ratio = part_height / part_width;
        if !(0.5..=2.0).contains(&ratio) {
            return None;
        }
        // From what is left to 1, as numpy's `uniform` with one number draws.
        let left = rng.uniform(width - part_width, 1.0);
        let top = rng.uniform(height - part_height, 1.0);
        let part = [left, top, left + part_width, top + part_height].map(|v| v as i64);
        (part[2] != part[0] && part[3] != part[1]).then_some(part)
    }
}

/// Intersection over union of a part with a box, in single precision as MMDetection has it.
fn overlap(part: Part, bbox: &[f32; 4]) -> f32 {
    let part = part.map(|v| v as f32);
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let width = (part[2].min(bbox[2]) - part[0].max(bbox[0])).max(0.0);
    let height = (part[3].min(bbox[3]) - part[1].max(bbox[1])).max(0.0);
    let both = width * height;
    both / (area(&part) + area(bbox) - both).max(1e-6)
}

fn has_centre(part: Part, bbox: &[f32; 4]) -> bool {
    let part = part.map(|v| v as f32);
    let (x, y) = ((bbox[0] + bbox[2]) / 2.0, (bbox[1] + bbox[3]) / 2.0);
    x > part[0] && y > part[1] && x < part[2] && y < part[3]
}

impl Transform for MinIoURandomCrop {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        loop {
            let least = self.modes[around.rng.below(self.modes.len())];
            if least == 1.0 {
                return Ok(Some(sample));
            }
            for _ in 0..TRIES {
                let Some(part) = self.draw_part(sample.image.shape(), around.rng) else { continue };
                let is_enough = |bbox: &[f32; 4]| f64::from(overlap(part, bbox)) >= least;
                let is_fit = sample.boxes.is_empty()
                    || sample.boxes.iter().all(is_enough)
                        && sample.boxes.iter().any(|bbox| has_centre(part, bbox));
                if is_fit {
                    sample.retain_boxes(|bbox| has_centre(part, bbox));
                    let [x, y, right, bottom] = part.map(|v| v.max(0) as usize);
                    sample.crop([x, y, right - x, bottom - y]);
                    if self.bbox_clip_border {
                        sample.clip_boxes([bottom - y, right - x]);
                    }
                    return Ok(Some(sample));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply_with;
    use serde_json::json;

    #[test]
    fn the_part_holds_the_objects_centre_and_overlaps_enough() {
        let bbox = [30.0, 20.0, 70.0, 60.0];
        let config = json!({"type": "MinIoURandomCrop", "min_ious": [0.3]});
        let mut is_cropped = false;
        for seed in 0..40 {
            let sample = apply_with(&config, grey_sample(100, 80, bbox), vec![], seed).unwrap();
            let [height, width] = sample.image.shape();
            is_cropped |= [height, width] != [80, 100];
            assert!(width >= 30 && height >= 24, "{width} {height}");
            let [x1, y1, x2, y2] = sample.boxes[0];
            assert!(x1 >= 0.0 && y1 >= 0.0 && x2 <= width as f32 && y2 <= height as f32);
        }
        assert!(is_cropped);
    }

    #[test]
    fn a_picture_without_objects_is_cropped_as_well() {
        let mut sample = grey_sample(100, 80, [0.0; 4]);
        sample.retain_boxes(|_| false);
        let shapes: std::collections::HashSet<_> = (0..20)
            .map(|seed| {
                let config = json!({"type": "MinIoURandomCrop"});
                apply_with(&config, sample.clone(), vec![], seed).unwrap().meta.img_shape
            })
            .collect();
        assert!(shapes.len() > 5);
    }
}
