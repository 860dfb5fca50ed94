//! Builds data sets from configuration, by their MMDetection `type` names.
//! Knows nothing of what the single data sets do.

use std::sync::Arc;

use serde_json::Value;
use snaphook_components::{Catalog, Role, data as declared, read, type_name};

use super::{
    ClassBalancedDataset, ConcatDataset, Dataset, MultiImageMixDataset, RepeatDataset,
    class_folders, coco, voc,
};
use crate::DataError;
use crate::transform::Pipeline;

type Build = fn(&Value) -> Result<Arc<dyn Dataset>, DataError>;

const DATASETS: [(&str, Build); 9] = [
    ("CocoDataset", |v| Ok(Arc::new(coco::build(read(v, "CocoDataset")?)?))),
    ("VOCDataset", |v| Ok(Arc::new(voc::build(read(v, "VOCDataset")?)?))),
    ("XMLDataset", |v| Ok(Arc::new(voc::build_xml(read(v, "XMLDataset")?)?))),
    ("CustomDataset", |v| Ok(Arc::new(class_folders::build(read(v, "CustomDataset")?)?))),
    ("ImageNet", |v| Ok(Arc::new(class_folders::build_imagenet(read(v, "ImageNet")?)?))),
    ("RepeatDataset", |v| build_repeat(&read(v, "RepeatDataset")?)),
    ("ClassBalancedDataset", |v| build_balanced(&read(v, "ClassBalancedDataset")?)),
    ("ConcatDataset", |v| build_concat(&read(v, "ConcatDataset")?)),
    ("MultiImageMixDataset", |v| build_mix(read(v, "MultiImageMixDataset")?)),
];

/// Builds the data set of a configuration entry, and all that it wraps.
///
/// Errors: an unknown type or keyword, with the nearest known name; a wrong value; annotations that are
/// absent or wrong, with the file and the id.
pub fn build_dataset(value: &Value) -> Result<Arc<dyn Dataset>, DataError> {
    let name = type_name(Role::Dataset, value, "dataset")?;
    let found = DATASETS.iter().find(|(known, _)| *known == name);
    let (_, build) =
        found.ok_or_else(|| Catalog::built_in().unknown(Role::Dataset, value, "dataset"))?;
    build(value)
}

/// The classes that a data set of this type has when its `metainfo` names none.
pub fn default_classes(type_name: &str) -> Option<Vec<String>> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match type_name {
        "CocoDataset" => Some(owned(&coco::classes())),
        "VOCDataset" => Some(owned(&voc::VOC_CLASSES)),
        _ => None,
    }
}

fn build_repeat(declared: &declared::RepeatDataset) -> Result<Arc<dyn Dataset>, DataError> {
    Ok(Arc::new(RepeatDataset::new(build_dataset(&declared.dataset)?, declared.times)))
}

fn build_balanced(
    declared: &declared::ClassBalancedDataset,
) -> Result<Arc<dyn Dataset>, DataError> {
    let inner = build_dataset(&declared.dataset)?;
    Ok(Arc::new(ClassBalancedDataset::new(inner, declared.oversample_thr)))
}

fn build_concat(declared: &declared::ConcatDataset) -> Result<Arc<dyn Dataset>, DataError> {
    let parts = declared.datasets.iter().map(build_dataset).collect::<Result<_, _>>()?;
    Ok(Arc::new(ConcatDataset::new(parts)?))
}

fn build_mix(declared: declared::MultiImageMixDataset) -> Result<Arc<dyn Dataset>, DataError> {
    let pipeline = Value::Array(declared.pipeline);
    let pipeline = Pipeline::from_config("MultiImageMixDataset.pipeline", &pipeline)?;
    let skipped = declared.skip_type_keys.unwrap_or_default();
    let inner = build_dataset(&declared.dataset)?;
    Ok(Arc::new(MultiImageMixDataset::new(inner, pipeline.skipping(&skipped))))
}
