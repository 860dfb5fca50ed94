//! `RandomResize` and `RandomChoiceResize`: to a size that is drawn.
//! Knows nothing of how a picture is resized.

use snaphook_components::{OneOrTwo, data as declared};

use super::resize::{Goal, Resizer};
use super::{Surroundings, Transform};
use crate::image::Interpolation;
use crate::{DataError, Sample, SampleRng};

fn resizer(kind: &str, keep_ratio: bool, clip_object_border: bool, interpolation: &str) -> Resizer {
    let interpolation = Interpolation::named(interpolation);
    let rounds_down = kind.ends_with("FixScaleResize");
    Resizer { keep_ratio, clip_object_border, rounds_down, interpolation }
}

/// Draws a factor of a size, or a size between two.
#[derive(Debug)]
pub(super) struct RandomResize {
    choice: Choice,
    resizer: Resizer,
}

#[derive(Debug)]
enum Choice {
    /// A size, and the range of its factor.
    Factor([usize; 2], [f64; 2]),
    /// Each side lies between those of two sizes.
    Between([usize; 2], [usize; 2]),
}

impl RandomResize {
    pub(super) fn new(declared: &declared::RandomResize) -> Self {
        let choice = match (declared.scale, declared.ratio_range) {
            (OneOrTwo::Two(first, second), _) => Choice::Between(first.into(), second.into()),
            (OneOrTwo::One(size), range) => {
                Choice::Factor(size.into(), range.unwrap_or((1.0, 1.0)).into())
            }
        };
        let declared::RandomResize { resize_type, interpolation, .. } = declared;
        let (keep_ratio, clips) = (declared.keep_ratio, declared.clip_object_border);
        Self { choice, resizer: resizer(resize_type, keep_ratio, clips, interpolation) }
    }

    /// Drawn (width, height).
    fn draw(&self, rng: &mut SampleRng) -> [usize; 2] {
        match &self.choice {
            Choice::Factor(size, [low, high]) => {
                let ratio = rng.unit() * (high - low) + low;
                size.map(|side| ((side as f64 * ratio) as usize).max(1))
            }
            Choice::Between(first, second) => [0, 1].map(|side| {
                let (low, high) = (first[side].min(second[side]), first[side].max(second[side]));
                rng.between(low as i64, high as i64 + 1) as usize
            }),
        }
    }
}

impl Transform for RandomResize {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let size = self.draw(around.rng);
        self.resizer.apply(&mut sample, Goal::Size(size));
        Ok(Some(sample))
    }
}

/// Draws one of several sizes.
#[derive(Debug)]
pub(super) struct RandomChoiceResize {
    /// (width, height) each; not empty.
    sizes: Vec<[usize; 2]>,
    resizer: Resizer,
}

impl RandomChoiceResize {
    pub(super) fn new(declared: &declared::RandomChoiceResize) -> Self {
        let sizes = declared.scales.iter().map(|scale| scale.both()).collect();
        let declared::RandomChoiceResize { resize_type, interpolation, .. } = declared;
        let (keep_ratio, clips) = (declared.keep_ratio, declared.clip_object_border);
        Self { sizes, resizer: resizer(resize_type, keep_ratio, clips, interpolation) }
    }
}

impl Transform for RandomChoiceResize {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let size = self.sizes[around.rng.below(self.sizes.len())];
        self.resizer.apply(&mut sample, Goal::Size(size));
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply_with};
    use serde_json::{Value, json};

    fn shapes(config: Value) -> BTreeSet<[usize; 2]> {
        let shape = |seed| {
            let sample = grey_sample(20, 10, [0.0; 4]);
            apply_with(&config, sample, vec![], seed).unwrap().meta.img_shape
        };
        (0..60).map(shape).collect()
    }

    #[test]
    fn one_of_the_sizes_is_drawn() {
        let config = json!({"type": "RandomChoiceResize", "scales": [[8, 4], [16, 6]]});
        assert_eq!(shapes(config), [[4, 8], [6, 16]].into());
        let mixed = json!({"type": "RandomChoiceResize", "scales": [[8, 4], 6]});
        assert_eq!(shapes(mixed), [[4, 8], [6, 6]].into());
        let kept = json!({"type": "RandomChoiceResize", "scales": [8, 12], "keep_ratio": true});
        assert_eq!(shapes(kept), [[4, 8], [6, 12]].into());
    }

    #[test]
    fn sides_lie_between_those_of_two_sizes_or_follow_a_factor() {
        let between = json!({"type": "RandomResize", "scale": [[8, 4], [10, 4]]});
        assert_eq!(shapes(between), [[4, 8], [4, 9], [4, 10]].into());
        let factor = json!({"type": "RandomResize", "scale": [20, 10], "ratio_range": [0.5, 0.6]});
        assert!(
            shapes(factor).iter().all(|[height, width]| *height == 5 && [10, 11].contains(width))
        );
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for scales in [json!([[8, 4], [6]]), json!([[8, 4], "6"]), json!([8, [0, 4]]), json!([])] {
            let config = json!({"type": "RandomChoiceResize", "scales": scales});
            let error = build_transform(&config).unwrap_err().to_string();
            assert!(error.contains("RandomChoiceResize.scales"), "{error}");
        }
    }

    #[test]
    fn a_single_size_needs_a_range() {
        let error = build_transform(&json!({"type": "RandomResize", "scale": [8, 4]})).unwrap_err();
        assert!(error.to_string().contains("RandomResize.ratio_range"), "{error}");
    }
}
