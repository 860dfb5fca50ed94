//! `CutOut` and `RandomErasing`: rectangles painted over a picture.
//! Knows nothing of what lies below, except how much of an object is covered.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::{DataError, Sample, SampleRng};

fn how_many(rng: &mut SampleRng, [least, most]: [usize; 2]) -> usize {
    rng.between(least as i64, most as i64 + 1) as usize
}

/// Rectangles from random corners on, cut at the rim.
#[derive(Debug)]
pub(super) struct CutOut {
    n_holes: [usize; 2],
    candidates: Candidates,
    fill_in: [u8; 3],
}

/// (width, height) of the rectangles; not empty.
#[derive(Debug)]
enum Candidates {
    Pixels(Vec<(usize, usize)>),
    Shares(Vec<(f64, f64)>),
}

impl CutOut {
    pub(super) fn new(declared: &declared::CutOut) -> Self {
        let candidates = match (&declared.cutout_shape, &declared.cutout_ratio) {
            (_, Some(shares)) => Candidates::Shares(shares.clone().into_list()),
            (Some(pixels), None) => Candidates::Pixels(pixels.clone().into_list()),
            (None, None) => Candidates::Pixels(Vec::new()),
        };
        Self { n_holes: declared.n_holes.both(), candidates, fill_in: declared.fill_in.0 }
    }

    fn draw_size(&self, [height, width]: [usize; 2], rng: &mut SampleRng) -> (usize, usize) {
        match &self.candidates {
            Candidates::Pixels(sizes) => {
                sizes.get(rng.below(sizes.len())).copied().unwrap_or_default()
            }
            Candidates::Shares(shares) => {
                let (x, y) = shares.get(rng.below(shares.len())).copied().unwrap_or_default();
                ((x * width as f64) as usize, (y * height as f64) as usize)
            }
        }
    }
}

impl Transform for CutOut {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let shape = sample.image.shape();
        for _ in 0..how_many(around.rng, self.n_holes) {
            let x = around.rng.below(shape[1]);
            let y = around.rng.below(shape[0]);
            let (width, height) = self.draw_size(shape, around.rng);
            sample.image.fill([x, y, width, height], self.fill_in);
        }
        Ok(Some(sample))
    }
}

/// Rectangles inside the picture; objects below them are dropped.
#[derive(Debug)]
pub(super) struct RandomErasing {
    n_patches: [usize; 2],
    ratio: [f64; 2],
    squared: bool,
    bbox_erased_thr: f32,
    value: [u8; 3],
}

impl RandomErasing {
    pub(super) fn new(declared: &declared::RandomErasing) -> Self {
        Self {
            n_patches: declared.n_patches.both(),
            ratio: declared.ratio.both(),
            squared: declared.squared,
            bbox_erased_thr: declared.bbox_erased_thr as f32,
            value: declared.img_border_value.0,
        }
    }

    /// x, y, width, height.
    fn draw_patch(&self, [height, width]: [usize; 2], rng: &mut SampleRng) -> [usize; 4] {
        let [least, most] = self.ratio;
        let mut share = || rng.unit() * (most - least) + least;
        let first = share();
        let second = if self.squared { first } else { share() };
        let (patch_height, patch_width) =
            ((height as f64 * first) as usize, (width as f64 * second) as usize);
        let x = rng.below(width - patch_width);
        let y = rng.below(height - patch_height);
        [x, y, patch_width, patch_height]
    }
}

/// Area of a box that a rectangle covers.
fn covered(bbox: &[f32; 4], patch: &[usize; 4]) -> f32 {
    let [x, y, width, height] = patch.map(|v| v as f32);
    let across = (bbox[2].min(x + width) - bbox[0].max(x)).max(0.0);
    let down = (bbox[3].min(y + height) - bbox[1].max(y)).max(0.0);
    across * down
}

impl Transform for RandomErasing {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let count = how_many(around.rng, self.n_patches);
        let shape = sample.image.shape();
        let patches: Vec<_> = (0..count).map(|_| self.draw_patch(shape, around.rng)).collect();
        for patch in &patches {
            sample.image.fill(*patch, self.value);
        }
        sample.retain_boxes(|bbox| {
            let erased: f32 = patches.iter().map(|patch| covered(bbox, patch)).sum();
            let area = (bbox[2] - bbox[0]) * (bbox[3] - bbox[1]);
            erased / (area + 1e-7) < self.bbox_erased_thr
        });
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply_with};
    use serde_json::json;

    #[test]
    fn holes_are_painted_and_cut_at_the_rim() {
        let config = json!({"type": "CutOut", "n_holes": 3, "cutout_shape": [5, 4], "fill_in": 9});
        for seed in 0..20 {
            let sample = apply_with(&config, grey_sample(12, 8, [0.0; 4]), vec![], seed).unwrap();
            let painted = sample.image.data().iter().filter(|v| **v == 9).count() / 3;
            assert!((1..=60).contains(&painted), "{painted}");
        }
    }

    #[test]
    fn an_erased_object_is_dropped() {
        let config = json!({"type": "RandomErasing", "n_patches": 1, "ratio": 0.9});
        let mut sample = grey_sample(20, 20, [8.0, 8.0, 12.0, 12.0]);
        sample.append_boxes(grey_sample(20, 20, [0.0, 0.0, 20.0, 20.0]));
        let left = apply_with(&config, sample, vec![], 3).unwrap();
        assert_eq!(left.boxes, [[0.0, 0.0, 20.0, 20.0]]);
    }

    #[test]
    fn either_a_shape_or_a_ratio_is_wanted() {
        let both = json!({"type": "CutOut", "n_holes": 1, "cutout_shape": [1, 1], "cutout_ratio": [0.1, 0.1]});
        assert!(build_transform(&both).is_err());
        assert!(build_transform(&json!({"type": "CutOut", "n_holes": 1})).is_err());
        let list =
            json!({"type": "CutOut", "n_holes": [1, 3], "cutout_ratio": [[0.1, 0.1], [0.2, 0.1]]});
        assert!(build_transform(&list).is_ok());
    }
}
