//! `RandomChoice` and `RandomApply`: other transforms, perhaps.
//! Knows nothing of what they do.

use snaphook_components::data as declared;

use serde_json::Value;

use super::{Pipeline, Surroundings, Transform};
use crate::{DataError, Sample};

/// Goes through one of several rows.
#[derive(Debug)]
pub(super) struct RandomChoice {
    rows: Vec<Pipeline>,
    probabilities: Vec<f64>,
}

impl RandomChoice {
    pub(super) fn new(declared: declared::RandomChoice) -> Result<Self, DataError> {
        let row = |row: Vec<Value>| {
            Pipeline::without_partners("RandomChoice.transforms", &Value::Array(row))
        };
        let rows: Vec<Pipeline> =
            declared.transforms.0.into_iter().map(row).collect::<Result<_, _>>()?;
        let same = || vec![1.0 / rows.len() as f64; rows.len()];
        Ok(Self { probabilities: declared.prob.unwrap_or_else(same), rows })
    }
}

impl Transform for RandomChoice {
    fn apply(
        &self,
        sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        // The last one takes what rounding leaves.
        let row = around.rng.weighted(&self.probabilities).min(self.rows.len() - 1);
        self.rows[row].run(sample, around.rng, around.images)
    }
}

/// Goes through a row, or not.
#[derive(Debug)]
pub(super) struct RandomApply {
    row: Pipeline,
    prob: f64,
}

impl RandomApply {
    pub(super) fn new(declared: declared::RandomApply) -> Result<Self, DataError> {
        let row = Value::Array(declared.transforms.0);
        let row = Pipeline::without_partners("RandomApply.transforms", &row)?;
        Ok(Self { row, prob: declared.prob })
    }
}

impl Transform for RandomApply {
    fn apply(
        &self,
        sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        if around.rng.unit() >= self.prob {
            return Ok(Some(sample));
        }
        self.row.run(sample, around.rng, around.images)
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply_with};
    use serde_json::{Value, json};

    fn count(config: &Value, wanted: [usize; 2]) -> usize {
        let shape = |seed| {
            let sample = grey_sample(8, 4, [0.0; 4]);
            apply_with(config, sample, vec![], seed).unwrap().meta.img_shape
        };
        (0..400).filter(|seed| shape(*seed) == wanted).count()
    }

    #[test]
    fn a_row_is_chosen_by_its_probability() {
        let resize = |side: usize| json!({"type": "Resize", "scale": [side, side]});
        let config = json!({"type": "RandomChoice", "prob": [0.25, 0.75],
            "transforms": [[resize(2), resize(3)], [resize(5)]]});
        assert!((60..140).contains(&count(&config, [3, 3])));
        assert!((260..340).contains(&count(&config, [5, 5])));
        let apply = json!({"type": "RandomApply", "transforms": resize(2), "prob": 0.25});
        assert!((60..140).contains(&count(&apply, [2, 2])));
    }

    #[test]
    fn wrong_rows_and_probabilities_are_named() {
        let message = |mut config: Value| {
            config["type"] = json!("RandomChoice");
            build_transform(&config).unwrap_err().to_string()
        };
        let flip = json!({"type": "RandomFlip", "prob": 0.5});
        assert!(message(json!({"transforms": [[flip]], "prob": [0.5]})).contains("add up to 1"));
        assert!(message(json!({"transforms": []})).contains("at least one row"));
        assert!(message(json!({"transforms": [[{"type": "RandomFlp"}]]})).contains("RandomFlip"));
        assert!(
            message(json!({"transforms": [[{"type": "CachedMosaic"}]]})).contains("CachedMosaic")
        );
    }
}
