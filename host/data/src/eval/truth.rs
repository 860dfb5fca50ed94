//! The annotations that detections are scored against.
//! Knows nothing of detections.
//!
//! Source: pycocotools `COCO` and `COCOeval._prepare`: of a file, every annotation counts, also those that
//! training leaves out; crowds are ignored, and so is nothing else. Of a data set, what it kept counts, and
//! what it marks as ignored is a crowd, as in MMDetection 3.3.0 `CocoMetric.gt_to_coco_json`; we differ in the
//! category ids, which are the labels from 1 on, where MMDetection numbers from 0.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::dataset::{CocoFile, Dataset};
use crate::{DataError, ImageId, ImageRecord, Instance};

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
    /// The annotation file; `None` for a data set's own annotations.
    pub(super) file: Option<PathBuf>,
    /// Name of each label.
    pub(super) names: Vec<String>,
    /// Category id of each label, as the annotation file numbers them; without a file, from 1 on.
    pub(super) category_ids: Vec<i64>,
    /// For each image, in the order of ids, its objects by label.
    pub(super) images: BTreeMap<ImageId, Objects>,
    /// For each image, its objects of any class, wanted or not, that are no crowds and not to be ignored: left, top,
    /// right, bottom.
    pub(super) anything: BTreeMap<ImageId, Vec<[f32; 4]>>,
}

/// The objects of one image by label.
pub(super) type Objects = HashMap<usize, Vec<TrueBox>>;

impl Truth {
    pub(super) fn read(path: &Path, classes: &[String]) -> Result<Self, DataError> {
        let file = CocoFile::read(path)?;
        let ids = file.category_ids(path, classes)?;
        let label_of: HashMap<i64, usize> =
            ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let name = |id: &i64| file.categories.iter().find(|c| c.id == *id).map(|c| c.name.clone());
        let names = ids.iter().filter_map(name).collect();
        let mut images: BTreeMap<ImageId, Objects> =
            file.images.iter().map(|i| (i.id.clone(), HashMap::new())).collect();
        let mut anything: BTreeMap<ImageId, Vec<[f32; 4]>> = BTreeMap::new();
        for annotation in file.annotations.iter().filter(|a| !a.iscrowd && !a.ignore) {
            let [x, y, width, height] = annotation.bbox;
            let corners = [x, y, x + width, y + height].map(|v| v as f32);
            anything.entry(annotation.image_id.clone()).or_default().push(corners);
        }
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
        Ok(Self { file: Some(path.to_owned()), names, category_ids: ids, images, anything })
    }

    /// The annotations that the data set itself holds.
    ///
    /// Errors: two pictures of one id, for then detections would belong to both.
    pub(super) fn of_dataset(dataset: &dyn Dataset) -> Result<Self, DataError> {
        let mut seen: BTreeMap<&ImageId, &ImageRecord> = BTreeMap::new();
        for record in (0..dataset.len()).map(|index| dataset.record(index)) {
            // A repeated data set has each picture several times: that is one picture.
            let first = seen.entry(&record.img_id).or_insert(record);
            if first.img_path != record.img_path {
                let (id, one, other) = (&record.img_id, &first.img_path, &record.img_path);
                let (one, other) = (one.display(), other.display());
                let reason = format!(
                    "expected an id for each picture, found {id} for both {one} and {other} \
                     (give the data sets different ids, or one metric each)"
                );
                return Err(DataError::config("CocoMetric", reason));
            }
        }
        let names = dataset.meta().classes.clone();
        let category_ids = (1..).take(names.len()).collect();
        let images = seen.iter().map(|(id, record)| ((*id).clone(), objects(record))).collect();
        let wanted = |record: &ImageRecord| {
            record.instances.iter().filter(|i| !i.ignore).map(|i| i.bbox).collect()
        };
        let anything = seen.iter().map(|(id, record)| ((*id).clone(), wanted(record))).collect();
        Ok(Self { file: None, names, category_ids, images, anything })
    }

    /// The part about these pictures.
    pub(super) fn about(&self, wanted: impl Fn(&ImageId) -> bool) -> Self {
        fn part<T: Clone>(
            all: &BTreeMap<ImageId, T>,
            wanted: impl Fn(&ImageId) -> bool,
        ) -> BTreeMap<ImageId, T> {
            let pairs = all.iter().filter(|(id, _)| wanted(id));
            pairs.map(|(id, value)| (id.clone(), value.clone())).collect()
        }
        let (images, anything) = (part(&self.images, &wanted), part(&self.anything, &wanted));
        let (names, category_ids) = (self.names.clone(), self.category_ids.clone());
        Self { file: self.file.clone(), names, category_ids, images, anything }
    }

    /// Refuses a data set with pictures that the annotation file does not have.
    pub(super) fn check_images(&self, dataset: &dyn Dataset) -> Result<(), DataError> {
        let Some(file) = &self.file else { return Ok(()) };
        let records = || (0..dataset.len()).map(|index| dataset.record(index));
        let mut strange = records().filter(|record| !self.images.contains_key(&record.img_id));
        let Some(first) = strange.next() else { return Ok(()) };
        let reason = format!(
            "expected the pictures of the data set, found none of id {} for {} (so for {} of its {}; give \
             ann_file the annotations that the data set reads, or leave it out to score against those)",
            first.img_id,
            first.img_path.display(),
            strange.count() + 1,
            dataset.len(),
        );
        Err(DataError::annotations(file, reason))
    }
}

fn objects(record: &ImageRecord) -> Objects {
    let mut objects = Objects::new();
    for instance in &record.instances {
        let Ok(label) = usize::try_from(instance.label) else { continue };
        objects.entry(label).or_default().push(true_box(instance));
    }
    objects
}

fn true_box(instance: &Instance) -> TrueBox {
    let [x1, y1, x2, y2] = instance.bbox.map(f64::from);
    let (width, height) = (x2 - x1, y2 - y1);
    TrueBox { bbox: [x1, y1, width, height], area: width * height, is_crowd: instance.ignore }
}
