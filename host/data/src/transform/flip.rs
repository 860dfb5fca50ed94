//! `RandomFlip`: mirrors picture and boxes.
//! Knows nothing of what is in the picture.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::FlipDirection;
use crate::{DataError, Sample};

/// Directions, each with its probability; what is missing to one is "not at all".
#[derive(Debug)]
pub(super) struct RandomFlip {
    directions: Vec<FlipDirection>,
    probabilities: Vec<f64>,
}

impl RandomFlip {
    pub(super) fn new(declared: &declared::RandomFlip) -> Self {
        let direction = |name: &str| match name {
            "horizontal" => Some(FlipDirection::Horizontal),
            "vertical" => Some(FlipDirection::Vertical),
            "diagonal" => Some(FlipDirection::Diagonal),
            _ => None,
        };
        let choices = declared.choices().into_iter();
        let (directions, probabilities) =
            choices.filter_map(|(name, p)| Some((direction(&name)?, p))).unzip();
        Self { directions, probabilities }
    }
}

impl Transform for RandomFlip {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let drawn = around.rng.weighted(&self.probabilities);
        if let Some(&direction) = self.directions.get(drawn) {
            sample.image.flip(direction);
            sample.flip_boxes(sample.image.shape(), direction);
            (sample.meta.flip, sample.meta.flip_direction) = (true, Some(direction));
        }
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply_with};
    use serde_json::json;

    #[test]
    fn flips_happen_as_often_as_they_should() {
        let config = json!({"type": "RandomFlip", "prob": [0.3, 0.5], "direction": ["horizontal", "vertical"]});
        let mut counts = [0i32; 3];
        for seed in 0..2000 {
            let sample =
                apply_with(&config, grey_sample(2, 2, [0.0, 0.0, 1.0, 2.0]), vec![], seed).unwrap();
            counts[match sample.meta.flip_direction {
                None => 0,
                Some(FlipDirection::Horizontal) => 1,
                Some(_) => 2,
            }] += 1;
        }
        for (count, expected) in counts.iter().zip([400, 600, 1000]) {
            assert!((*count - expected).abs() < 80, "{counts:?}");
        }
    }

    #[test]
    fn picture_and_boxes_turn_together() {
        let config = json!({"type": "RandomFlip", "prob": 1.0});
        let sample =
            apply_with(&config, grey_sample(10, 4, [1.0, 0.0, 3.0, 2.0]), vec![], 0).unwrap();
        assert!(sample.meta.flip);
        assert_eq!(sample.boxes, [[7.0, 0.0, 9.0, 2.0]]);
    }

    #[test]
    fn wrong_probabilities_and_directions_are_refused() {
        for wrong in [json!({"prob": 2.0}), json!({}), json!({"prob": 0.5, "direction": "up"})] {
            let mut config = wrong;
            config["type"] = json!("RandomFlip");
            assert!(build_transform(&config).is_err(), "{config}");
        }
    }
}
