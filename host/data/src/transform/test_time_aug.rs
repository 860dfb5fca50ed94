//! `TestTimeAug`: several views of a picture, each through a row of its own.
//! Knows nothing of how what is found in them is put together.
//!
//! Source: MMCV 2.x `transforms/processing.py`, `TestTimeAug`: one view for each choice of one transform from every list,
//! in the order in which the last list changes fastest.

use serde_json::Value;
use snaphook_components::data as declared;

use super::{Pipeline, Surroundings, Transform};
use crate::{DataError, Sample};

/// Far more views than anybody has time for.
const MOST_VIEWS: usize = 1024;
const KEY: &str = "TestTimeAug.transforms";

/// Makes several samples of one; all but the first are [`Sample::views`] of it.
#[derive(Debug)]
pub(super) struct TestTimeAug {
    rows: Vec<Pipeline>,
}

impl TestTimeAug {
    pub(super) fn new(declared: declared::TestTimeAug) -> Result<Self, DataError> {
        let lists = declared.transforms.0;
        let count = lists.iter().try_fold(1usize, |count, list| count.checked_mul(list.len()));
        let Some(1..=MOST_VIEWS) = count else {
            let message = format!("expected lists that make 1 to {MOST_VIEWS} views of a picture");
            return Err(DataError::config(KEY, message));
        };
        let rows = lists.iter().fold(vec![Vec::new()], |rows, list| longer(rows, list));
        let row = |row| Pipeline::without_partners(KEY, &Value::Array(row));
        Ok(Self { rows: rows.into_iter().map(row).collect::<Result<_, _>>()? })
    }
}

/// Each row with each entry of the list behind it.
fn longer(rows: Vec<Vec<Value>>, list: &[Value]) -> Vec<Vec<Value>> {
    let with =
        |row: Vec<Value>| list.iter().map(move |next| row.iter().chain([next]).cloned().collect());
    rows.into_iter().flat_map(with).collect()
}

impl Transform for TestTimeAug {
    fn apply(
        &self,
        sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let view = |row: &Pipeline| {
            let path = sample.meta.img_path.display();
            row.run(sample.clone(), around.rng, around.images)?.ok_or_else(|| {
                DataError::config(KEY, format!("a row leaves out {path}, a view must not"))
            })
        };
        let mut views = self.rows.iter().map(view).collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = views.next();
        Ok(first.map(|first| Sample { views: views.collect(), ..first }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::image::FlipDirection;
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply};

    #[test]
    fn each_choice_is_a_view_and_the_last_list_changes_fastest() {
        let resize = |side: usize| json!({"type": "Resize", "scale": [side, side]});
        let flip = |prob: f64| json!({"type": "RandomFlip", "prob": prob});
        let lists = json!([[resize(8), resize(4)], [flip(1.0), flip(0.0)]]);
        let config = json!({"type": "TestTimeAug", "transforms": lists});
        let sample = apply(&config, grey_sample(6, 6, [0.0, 0.0, 1.0, 2.0])).unwrap();
        let seen: Vec<_> = std::iter::once(&sample)
            .chain(&sample.views)
            .map(|view| (view.image.shape(), view.meta.flip_direction))
            .collect();
        let mirrored = Some(FlipDirection::Horizontal);
        let expected = [([8, 8], mirrored), ([8, 8], None), ([4, 4], mirrored), ([4, 4], None)];
        assert_eq!(seen, expected);
        assert!(sample.views.iter().all(|view| view.views.is_empty()));
    }

    #[test]
    fn too_many_views_and_none_are_refused() {
        let many = vec![vec![json!({"type": "RandomFlip", "prob": 0.0}); 40]; 2];
        for lists in [json!(many), json!([[], []])] {
            let config = json!({"type": "TestTimeAug", "transforms": lists});
            let message = build_transform(&config).unwrap_err().to_string();
            assert!(message.contains("1 to 1024 views"), "{message}");
        }
    }
}
