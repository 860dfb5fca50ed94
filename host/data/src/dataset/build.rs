//! Builds data sets from configuration, by their MMDetection `type` names.
//! Knows nothing of what the single data sets do.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ConcatDataset, Dataset, MultiImageMixDataset, RepeatDataset, coco, voc};
use crate::DataError;
use crate::kwargs::{Kwargs, unknown_type};
use crate::transform::Pipeline;

type Build = fn(&mut Kwargs) -> Result<Arc<dyn Dataset>, DataError>;

const DATASETS: [(&str, Build); 5] = [
    ("CocoDataset", |k| Ok(Arc::new(coco::build(k)?))),
    ("VOCDataset", |k| Ok(Arc::new(voc::build(k)?))),
    ("RepeatDataset", build_repeat),
    ("ConcatDataset", build_concat),
    ("MultiImageMixDataset", build_mix),
];

/// The `type` names of all data sets.
pub fn dataset_names() -> Vec<&'static str> {
    DATASETS.iter().map(|(name, _)| *name).collect()
}

/// Builds the data set of a configuration entry, and all that it wraps.
///
/// Errors: an unknown type or keyword, with the nearest known name; a wrong value; annotations that are
/// absent or wrong, with the file and the id.
pub fn build_dataset(value: &Value) -> Result<Arc<dyn Dataset>, DataError> {
    let (name, mut kwargs) = Kwargs::of_typed("dataset", value)?;
    let found = DATASETS.iter().find(|(known, _)| *known == name);
    let (_, build) = found.ok_or_else(|| unknown_type("data set", name, &dataset_names()))?;
    let dataset = build(&mut kwargs)?;
    kwargs.finish()?;
    Ok(dataset)
}

fn wrapped(kwargs: &mut Kwargs) -> Result<Arc<dyn Dataset>, DataError> {
    match kwargs.value("dataset") {
        Some(inner) => build_dataset(inner),
        None => Err(kwargs.wrong("dataset", "expected a data set, found none".to_owned())),
    }
}

fn build_repeat(kwargs: &mut Kwargs) -> Result<Arc<dyn Dataset>, DataError> {
    kwargs.ignore(&["lazy_init"]);
    let times = kwargs.required("times")?;
    kwargs.check("times", times > 0, "expected above 0, found 0".to_owned())?;
    Ok(Arc::new(RepeatDataset::new(wrapped(kwargs)?, times)))
}

fn build_concat(kwargs: &mut Kwargs) -> Result<Arc<dyn Dataset>, DataError> {
    kwargs.ignore(&["lazy_init", "ignore_keys"]);
    let list: Vec<Value> = kwargs.required("datasets")?;
    let parts = list.iter().map(build_dataset).collect::<Result<_, _>>()?;
    Ok(Arc::new(ConcatDataset::new(parts)?))
}

fn build_mix(kwargs: &mut Kwargs) -> Result<Arc<dyn Dataset>, DataError> {
    kwargs.ignore(&["lazy_init", "max_refetch"]);
    kwargs.only("dynamic_scale", &[])?;
    let none = json!(null);
    let pipeline = kwargs.value("pipeline").unwrap_or(&none);
    let pipeline = Pipeline::from_config("MultiImageMixDataset.pipeline", pipeline)?;
    let skipped: Vec<String> = kwargs.get("skip_type_keys", Vec::new())?;
    let mixed = MultiImageMixDataset::new(wrapped(kwargs)?, pipeline.skipping(&skipped));
    Ok(Arc::new(mixed))
}
