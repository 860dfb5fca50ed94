//! Reads the JSON of COCO annotations and checks it.
//! Knows nothing of classes wanted and of filters.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{DataError, ImageId};

/// A COCO annotation file.
#[derive(Debug, Deserialize)]
pub(crate) struct CocoFile {
    pub(crate) images: Vec<CocoImage>,
    #[serde(default)]
    pub(crate) annotations: Vec<NumberedBox>,
    pub(crate) categories: Vec<Category>,
}

/// An entry of `images`.
#[derive(Debug, Deserialize)]
pub(crate) struct CocoImage {
    pub(crate) id: ImageId,
    pub(crate) file_name: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// An entry of `categories`.
#[derive(Debug, Deserialize)]
pub(crate) struct Category {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// An entry of `annotations`.
#[derive(Debug, Deserialize)]
pub(crate) struct NumberedBox {
    pub(crate) id: ImageId,
    pub(crate) image_id: ImageId,
    pub(crate) category_id: i64,
    /// x, y, width, height.
    pub(crate) bbox: [f64; 4],
    pub(crate) area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) iscrowd: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) ignore: bool,
    #[serde(default, rename = "segmentation")]
    _segmentation: IgnoredAny,
}

/// Accepts 0, 1, true and false.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Truth(bool),
        Number(f64),
    }
    Ok(match Flag::deserialize(deserializer)? {
        Flag::Truth(truth) => truth,
        Flag::Number(number) => number != 0.0,
    })
}

impl NumberedBox {
    /// The area, which is that of the box where the file says none.
    pub(crate) fn area(&self) -> f64 {
        self.area.unwrap_or(self.bbox[2] * self.bbox[3])
    }
}

impl CocoFile {
    /// Reads and checks a file.
    ///
    /// Errors: each names the file, and the id of the entry that is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path)
            .map_err(|source| DataError::ReadAnnotations { path: path.to_owned(), source })?;
        let coco: Self = serde_json::from_reader(BufReader::with_capacity(1 << 20, file))
            .map_err(|e| DataError::annotations(path, format!("not COCO annotations: {e}")))?;
        coco.check().map_err(|reason| DataError::annotations(path, reason))?;
        Ok(coco)
    }

    fn check(&self) -> Result<(), String> {
        let mut images = HashSet::new();
        for image in &self.images {
            if !images.insert(&image.id) {
                return Err(format!("image id {}: occurs twice", image.id));
            }
            if image.width == 0 || image.height == 0 {
                return Err(format!(
                    "image id {}: expected a size above 0, found {} x {}",
                    image.id, image.width, image.height
                ));
            }
        }
        let categories: HashSet<i64> = self.categories.iter().map(|c| c.id).collect();
        if categories.len() != self.categories.len() {
            return Err("categories: an id occurs twice".to_owned());
        }
        let mut ids = HashSet::new();
        for annotation in &self.annotations {
            let id = &annotation.id;
            if !ids.insert(id) {
                return Err(format!("annotation id {id}: occurs twice"));
            }
            if !images.contains(&annotation.image_id) {
                return Err(format!(
                    "annotation id {id}: its image id {} is not in the file",
                    annotation.image_id
                ));
            }
            if !categories.contains(&annotation.category_id) {
                return Err(format!(
                    "annotation id {id}: its category id {} is not in the file",
                    annotation.category_id
                ));
            }
            if !annotation.bbox.iter().all(|v| v.is_finite()) {
                return Err(format!(
                    "annotation id {id}: expected a finite box, found {:?}",
                    annotation.bbox
                ));
            }
        }
        Ok(())
    }

    /// Category ids of the wanted classes, in the order of the file, which is what gives labels their
    /// meaning.
    ///
    /// Source: MMDetection `CocoDataset.load_data_list`: pycocotools' order, not that of the classes. We
    /// differ where that would give labels wrong names: an error says so.
    pub(crate) fn category_ids(
        &self,
        path: &Path,
        classes: &[String],
    ) -> Result<Vec<i64>, DataError> {
        let found: Vec<&Category> =
            self.categories.iter().filter(|c| classes.contains(&c.name)).collect();
        let names =
            || self.categories.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let missing: Vec<&str> = classes
            .iter()
            .map(String::as_str)
            .filter(|c| !found.iter().any(|f| f.name == *c))
            .collect();
        if found.is_empty() {
            let reason = format!(
                "none of the classes {} is among its categories ({}) (set metainfo.classes)",
                classes.join(", "),
                names()
            );
            return Err(DataError::annotations(path, reason));
        }
        let in_order = classes.iter().filter(|c| !missing.contains(&c.as_str()));
        if !found.iter().map(|c| &c.name).eq(in_order) || !missing.is_empty() {
            tracing::warn!(
                "{}: classes are {}, its categories {}; labels follow the file's order",
                path.display(),
                classes.join(", "),
                names()
            );
        }
        Ok(found.iter().map(|c| c.id).collect())
    }

    /// The annotations of each image, in the order of the file.
    pub(crate) fn boxes_by_image(&self) -> HashMap<&ImageId, Vec<&NumberedBox>> {
        let mut by_image: HashMap<&ImageId, Vec<&NumberedBox>> = HashMap::new();
        for annotation in &self.annotations {
            by_image.entry(&annotation.image_id).or_default().push(annotation);
        }
        by_image
    }
}
