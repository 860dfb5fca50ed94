//! The annotations that detections are scored against.
//! Knows nothing of detections.
//!
//! Source: pycocotools `COCO` and `COCOeval._prepare`: every annotation counts, also those that training
//! leaves out; crowds are ignored, and so is nothing else.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::dataset::CocoFile;
use crate::{DataError, ImageId};

/// An annotated object: x, y, width, height, and what matters for scoring.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrueBox {
    pub(super) bbox: [f64; 4],
    pub(super) area: f64,
    pub(super) is_crowd: bool,
}

/// All annotations of the wanted classes.
#[derive(Debug)]
pub(super) struct Truth {
    /// Name of each label.
    pub(super) names: Vec<String>,
    /// Category id of each label, as the annotation file numbers them.
    pub(super) category_ids: Vec<i64>,
    /// For each image, in the order of ids, its objects by label.
    pub(super) images: BTreeMap<ImageId, HashMap<usize, Vec<TrueBox>>>,
}

impl Truth {
    pub(super) fn read(path: &Path, classes: &[String]) -> Result<Self, DataError> {
        let file = CocoFile::read(path)?;
        let ids = file.category_ids(path, classes)?;
        let label_of: HashMap<i64, usize> =
            ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let name = |id: &i64| file.categories.iter().find(|c| c.id == *id).map(|c| c.name.clone());
        let names = ids.iter().filter_map(name).collect();
        let mut images: BTreeMap<ImageId, HashMap<usize, Vec<TrueBox>>> =
            file.images.iter().map(|i| (i.id.clone(), HashMap::new())).collect();
        for annotation in &file.annotations {
            let Some(label) = label_of.get(&annotation.category_id) else { continue };
            let truth = TrueBox {
                bbox: annotation.bbox,
                area: annotation.area(),
                is_crowd: annotation.iscrowd,
            };
            images
                .entry(annotation.image_id.clone())
                .or_default()
                .entry(*label)
                .or_default()
                .push(truth);
        }
        Ok(Self { names, category_ids: ids, images })
    }
}
