//! The pipeline of a data set in a config, and the same with another size. Knows nothing of when sizes change.

use snaphook_plugin_api::{HookError, Json, json};

/// The argument of each transform that follows the size.
const SIZED: [(&str, &str); 2] = [("Resize", "scale"), ("MixUp", "img_scale")];

/// The pipeline of a data set that `data.set_pipeline` replaces: the outermost one, through wrappers without one.
pub(crate) fn outermost_pipeline(dataset: &Json) -> Option<&Vec<Json>> {
    if let Some(pipeline) = dataset["pipeline"].as_array() {
        return Some(pipeline);
    }
    let inner = dataset.get("dataset").or_else(|| dataset["datasets"].get(0))?;
    outermost_pipeline(inner)
}

/// The pipeline with another size.
///
/// Errors: nothing in it has a size.
pub(crate) fn with_scale(pipeline: &[Json], scale: (u64, u64)) -> Result<Json, HookError> {
    let mut pipeline = pipeline.to_vec();
    let mut is_changed = false;
    for transform in &mut pipeline {
        let name = transform["type"].as_str().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        if let Some((_, key)) = SIZED.iter().find(|(known, _)| *known == name) {
            transform[*key] = json!([scale.0, scale.1]);
            is_changed = true;
        }
    }
    if is_changed {
        return Ok(Json::Array(pipeline));
    }
    Err(HookError::new(
        "train pipeline: expected a Resize or MixUp in it, whose size is changed, found none",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_found_through_wrappers() {
        let inner = json!({ "pipeline": [1] });
        assert_eq!(
            outermost_pipeline(&json!({ "datasets": [{ "dataset": inner }] })),
            Some(&vec![json!(1)])
        );
        assert_eq!(outermost_pipeline(&json!({ "type": "CocoDataset" })), None);
    }

    #[test]
    fn a_pipeline_without_a_size_is_refused() {
        assert!(with_scale(&[json!({ "type": "RandomFlip" })], (32, 32)).is_err());
        let sized = with_scale(&[json!({ "type": "mmdet.Resize" })], (32, 64)).unwrap();
        assert_eq!(sized[0]["scale"], json!([32, 64]));
    }
}
