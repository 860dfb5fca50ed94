//! The metric `CocoMetric`: its configuration, collecting detections, and its numbers by their names.
//! Knows nothing of how detections are matched.
//!
//! Source: MMDetection 3.3.0 `evaluation/metrics/coco_metric.py`, pycocotools `COCOeval.summarize`. As
//! there, the headline AP takes 100 detections of a picture and the others `proposal_nums[2]`, and the
//! metrics are rounded to three digits; [`CocoResult::stats`] are not. We differ when nothing was
//! detected: the scores are 0 then, where MMDetection gives none.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use snaphook_components::{Catalog, OneOrMany, Role, data as declared, read, type_name};

use super::Detection;
use super::accumulate::{Scores, accumulate};
use super::matching::{Contest, FoundBox};
use super::table::table;
use super::truth::Truth;
use crate::storage::check_storage;
use crate::{DataError, Dataset, DatasetMeta, ImageId};

/// Ranges of areas: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// The twelve numbers, in pycocotools' order.
pub const STAT_NAMES: [&str; 12] = snaphook_components::data::COCO_METRIC_ITEMS;

/// MMDetection's `CocoMetric` for boxes: collects detections, then scores them.
#[derive(Debug)]
pub struct CocoEvaluator {
    truth: Truth,
    settings: Settings,
    found: BTreeMap<ImageId, Vec<Detection>>,
}

#[derive(Debug)]
struct Settings {
    prefix: String,
    is_classwise: bool,
    /// Three limits of detections for each picture and class, ascending.
    proposal_nums: [usize; 3],
    thresholds: Vec<f64>,
    metric_items: Vec<String>,
}

/// The scores of a whole data set.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoResult {
    /// Names as MMDetection's, such as `coco/bbox_mAP`, in its order, and the values to three digits.
    pub metrics: Vec<(String, f64)>,
    /// All of [`STAT_NAMES`] with all digits; -1 where there is nothing to be found.
    pub stats: [f64; 12],
    /// A table for people: one line for each class, and one for all.
    pub table: String,
}

impl Settings {
    fn new(declared: declared::CocoMetric) -> Result<Self, DataError> {
        check_storage(declared.backend_args.as_ref(), "CocoMetric")?;
        let (low, middle, high) = declared.proposal_nums;
        let from_half = || (0..10).map(|i| 0.5 + f64::from(i) * ((0.95 - 0.5) / 9.0)).collect();
        let six = || STAT_NAMES[..6].iter().map(|s| (*s).to_owned()).collect();
        Ok(Self {
            prefix: declared.prefix,
            is_classwise: declared.classwise,
            proposal_nums: [low, middle, high],
            thresholds: declared.iou_thrs.map_or_else(from_half, OneOrMany::into_list),
            metric_items: declared.metric_items.unwrap_or_else(six),
        })
    }
}

impl CocoEvaluator {
    /// Reads a `CocoMetric` entry and its annotation file.
    ///
    /// Errors: an unknown keyword, a wrong value, annotations that are absent or wrong.
    pub fn from_config(value: &Value, meta: &DatasetMeta) -> Result<Self, DataError> {
        let mut declared = declared(value)?;
        let Some(ann_file) = declared.ann_file.take() else {
            let reason = "expected a file, found none (without a data set nothing else is there)";
            return Err(DataError::config("CocoMetric.ann_file", reason));
        };
        let settings = Settings::new(declared)?;
        Ok(Self::new(Truth::read(Path::new(&ann_file), &meta.classes)?, settings))
    }

    /// Reads a `CocoMetric` entry for a data set; without `ann_file` the data set's own annotations are what
    /// detections are scored against.
    ///
    /// Errors: as [`CocoEvaluator::from_config`], and a data set with pictures that are not in `ann_file`.
    pub fn from_dataset(value: &Value, dataset: &dyn Dataset) -> Result<Self, DataError> {
        let mut declared = declared(value)?;
        let ann_file = declared.ann_file.take();
        let settings = Settings::new(declared)?;
        let truth = match ann_file {
            Some(file) => Truth::read(Path::new(&file), &dataset.meta().classes)?,
            None => Truth::of_dataset(dataset)?,
        };
        truth.check_images(dataset)?;
        Ok(Self::new(truth, settings))
    }

    fn new(truth: Truth, settings: Settings) -> Self {
        Self { truth, settings, found: BTreeMap::new() }
    }

    /// Notes what was found in one picture; a second time for the same picture replaces the first.
    pub fn add(&mut self, image_id: &ImageId, detections: Vec<Detection>) {
        self.found.insert(image_id.clone(), detections);
    }

    /// All that was added, to be sent to another process.
    pub fn collected(&self) -> impl Iterator<Item = (&ImageId, &[Detection])> {
        self.found.iter().map(|(id, detections)| (id, detections.as_slice()))
    }

    /// All that was added in COCO's results format, which pycocotools reads: one object for each detection, with
    /// `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`.
    pub fn results(&self) -> Value {
        let result = |id: &ImageId, detection: &Detection| {
            let category = self.truth.category_ids.get(usize::try_from(detection.label).ok()?)?;
            let FoundBox { bbox, score } = found_box(detection);
            Some(json!({"image_id": id, "category_id": category, "bbox": bbox, "score": score}))
        };
        let each = |(id, found): (&ImageId, &[Detection])| {
            found.iter().filter_map(|detection| result(id, detection)).collect::<Vec<_>>()
        };
        self.collected().flat_map(each).collect()
    }

    /// Scores all that was added, and forgets it.
    ///
    /// Errors: detections for a picture that the annotations do not have.
    pub fn finish(&mut self) -> Result<CocoResult, DataError> {
        let found = std::mem::take(&mut self.found);
        if let Some(id) = found.keys().find(|id| !self.truth.images.contains_key(id)) {
            let reason = |place| {
                format!("detections were given for image id {id}, which is not in the {place}")
            };
            return Err(match &self.truth.file {
                Some(file) => DataError::annotations(file, reason("file")),
                None => DataError::config("CocoMetric", reason("data set")),
            });
        }
        if found.values().all(Vec::is_empty) {
            tracing::warn!(
                "CocoMetric: nothing was detected in {} pictures, so the scores are 0",
                found.len()
            );
        }
        let classes: Vec<ClassScores> =
            (0..self.truth.names.len()).map(|label| self.score_class(label, &found)).collect();
        Ok(self.result(&classes))
    }

    fn score_class(&self, label: usize, found: &BTreeMap<ImageId, Vec<Detection>>) -> ClassScores {
        let Settings { thresholds, proposal_nums, .. } = &self.settings;
        let mut by_area: [Vec<_>; 4] = Default::default();
        for (id, objects) in &self.truth.images {
            let truths = objects.get(&label).map_or(&[][..], Vec::as_slice);
            let own = found.get(id).map_or(&[][..], Vec::as_slice);
            let boxes: Vec<FoundBox> =
                own.iter().filter(|d| d.label == label as i64).map(found_box).collect();
            if truths.is_empty() && boxes.is_empty() {
                continue;
            }
            let contest = Contest::new(truths, boxes, proposal_nums[2]);
            for (matches, area) in by_area.iter_mut().zip(AREAS) {
                matches.push(contest.matches(thresholds, area));
            }
        }
        let limit = |most: usize| {
            by_area.each_ref().map(|images| accumulate(images, thresholds.len(), most))
        };
        ClassScores { limits: proposal_nums.map(limit) }
    }

    fn result(&self, classes: &[ClassScores]) -> CocoResult {
        let summary = Summary { settings: &self.settings, classes };
        let stats = summary.stats();
        let rows: Vec<(String, [f64; 6])> = classes
            .iter()
            .zip(&self.truth.names)
            .map(|(class, name)| {
                (
                    name.clone(),
                    Summary { classes: std::slice::from_ref(class), ..summary }.class_row(),
                )
            })
            .collect();
        let overall: [f64; 6] = std::array::from_fn(|i| stats[i]);
        let mut metrics = Vec::new();
        let mut push = |name: String, value: f64| {
            let name = if self.settings.prefix.is_empty() {
                name
            } else {
                format!("{}/{name}", self.settings.prefix)
            };
            metrics.push((name, (value * 1000.0).round() / 1000.0));
        };
        if self.settings.is_classwise {
            rows.iter().for_each(|(name, row)| push(format!("{name}_precision"), row[0]));
        }
        for item in &self.settings.metric_items {
            let at = STAT_NAMES.iter().position(|n| n == item).unwrap_or_default();
            push(format!("bbox_{item}"), stats[at]);
        }
        CocoResult { metrics, stats, table: table(&rows, &overall) }
    }
}

fn declared(value: &Value) -> Result<declared::CocoMetric, DataError> {
    match type_name(Role::Metric, value, "evaluator")? {
        "CocoMetric" => Ok(read(value, "CocoMetric")?),
        "VOCMetric" => Err(DataError::config(
            "VOCMetric",
            "expected CocoMetric, found a metric that is not implemented (use CocoMetric: without ann_file it \
             scores against the data set's own annotations)",
        )),
        _ => Err(Catalog::built_in().unknown(Role::Metric, value, "evaluator").into()),
    }
}

fn found_box(detection: &Detection) -> FoundBox {
    let [x1, y1, x2, y2] = detection.bbox.map(f64::from);
    FoundBox { bbox: [x1, y1, x2 - x1, y2 - y1], score: f64::from(detection.score) }
}

/// Scores of a class: for each limit of detections, for each range of areas.
struct ClassScores {
    limits: [[Option<Scores>; 4]; 3],
}

#[derive(Clone, Copy)]
struct Summary<'a> {
    settings: &'a Settings,
    classes: &'a [ClassScores],
}

impl Summary<'_> {
    /// The mean over classes and thresholds; -1 if there is none.
    fn mean(
        &self,
        limit: usize,
        area: usize,
        threshold: Option<f64>,
        of: fn(&Scores) -> &[f64],
    ) -> f64 {
        let is_meant = |t: f64| threshold.is_none_or(|wanted| (wanted - t).abs() < 1e-9);
        let values: Vec<f64> = self
            .classes
            .iter()
            .filter_map(|class| class.limits[limit][area].as_ref())
            .flat_map(|scores| of(scores).iter().zip(&self.settings.thresholds))
            .filter(|(_, t)| is_meant(**t))
            .map(|(value, _)| *value)
            .collect();
        if values.is_empty() { -1.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
    }

    fn precision(&self, limit: usize, area: usize, threshold: Option<f64>) -> f64 {
        self.mean(limit, area, threshold, |s| &s.precision)
    }

    fn recall(&self, limit: usize, area: usize) -> f64 {
        self.mean(limit, area, None, |s| &s.recall)
    }

    fn stats(&self) -> [f64; 12] {
        let headline = self.settings.proposal_nums.iter().position(|n| *n == 100);
        [
            headline.map_or(-1.0, |limit| self.precision(limit, 0, None)),
            self.precision(2, 0, Some(0.5)),
            self.precision(2, 0, Some(0.75)),
            self.precision(2, 1, None),
            self.precision(2, 2, None),
            self.precision(2, 3, None),
            self.recall(0, 0),
            self.recall(1, 0),
            self.recall(2, 0),
            self.recall(2, 1),
            self.recall(2, 2),
            self.recall(2, 3),
        ]
    }

    /// mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l of a single class: all with the largest limit.
    fn class_row(&self) -> [f64; 6] {
        let of = |area, threshold| self.precision(2, area, threshold);
        [of(0, None), of(0, Some(0.5)), of(0, Some(0.75)), of(1, None), of(2, None), of(3, None)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluator(extra: Value) -> Result<CocoEvaluator, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gt.json");
        let file = json!({
            "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100},
                       {"id": 2, "file_name": "b.jpg", "width": 100, "height": 100}],
            "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0}],
        });
        std::fs::write(&path, file.to_string()).unwrap();
        let mut config = json!({"type": "mmdet.CocoMetric", "ann_file": path});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CocoEvaluator::from_config(
            &config,
            &DatasetMeta::from_classes(vec!["cat".into(), "dog".into()]),
        )
    }

    fn metric(result: &CocoResult, name: &str) -> f64 {
        result.metrics.iter().find(|(n, _)| n == name).unwrap().1
    }

    #[test]
    fn a_perfect_detection_scores_one() {
        let mut evaluator = evaluator(json!({"classwise": true})).unwrap();
        let hit = Detection { bbox: [0.0, 0.0, 40.0, 40.0], score: 0.9, label: 0 };
        evaluator.add(&1.into(), vec![hit]);
        evaluator.add(&2.into(), vec![]);
        let result = evaluator.finish().unwrap();
        assert_eq!(metric(&result, "coco/bbox_mAP"), 1.0);
        assert_eq!(metric(&result, "coco/bbox_mAP_m"), 1.0);
        assert_eq!(metric(&result, "coco/bbox_mAP_s"), -1.0);
        assert_eq!(metric(&result, "coco/cat_precision"), 1.0);
        assert_eq!(metric(&result, "coco/dog_precision"), -1.0);
    }

    #[test]
    fn nothing_detected_scores_zero() {
        let result = evaluator(json!({})).unwrap().finish().unwrap();
        assert_eq!(metric(&result, "coco/bbox_mAP"), 0.0);
        assert_eq!(result.metrics.len(), 6);
    }

    #[test]
    fn detections_of_an_unknown_picture_are_an_error() {
        let mut evaluator = evaluator(json!({})).unwrap();
        evaluator.add(&99.into(), vec![]);
        assert!(evaluator.finish().unwrap_err().to_string().contains("image id 99"));
    }

    /// A VOC data set of one picture, `a`, with a cat and a difficult dog.
    fn voc(root: &Path) -> std::sync::Arc<dyn Dataset> {
        let object = |name: &str, difficult: u8, end: u32| {
            format!(
                "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>1</xmin>\
                 <ymin>1</ymin><xmax>{end}</xmax><ymax>{end}</ymax></bndbox></object>"
            )
        };
        let size = "<size><width>100</width><height>100</height></size>";
        let (cat, dog) = (object("cat", 0, 41), object("dog", 1, 91));
        let xml = format!("<annotation>{size}{cat}{dog}</annotation>");
        std::fs::create_dir(root.join("Annotations")).unwrap();
        std::fs::write(root.join("Annotations/a.xml"), xml).unwrap();
        std::fs::write(root.join("list.txt"), "a\n").unwrap();
        let config = json!({"type": "VOCDataset", "data_root": root, "ann_file": "list.txt",
            "data_prefix": {"sub_data_root": ""}, "metainfo": {"classes": ["cat", "dog"]},
            "test_mode": true, "pipeline": []});
        crate::build_dataset(&config).unwrap()
    }

    #[test]
    fn without_a_file_the_data_set_is_the_truth() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = voc(folder.path());
        let config = json!({"type": "CocoMetric", "ann_file": null, "classwise": true});
        let mut evaluator = CocoEvaluator::from_dataset(&config, dataset.as_ref()).unwrap();
        let hit = Detection { bbox: [0.0, 0.0, 40.0, 40.0], score: 0.9, label: 0 };
        evaluator.add(&ImageId::Name("a".into()), vec![hit]);
        let results = evaluator.results();
        assert_eq!(results[0]["category_id"], 1);
        let result = evaluator.finish().unwrap();
        assert_eq!(metric(&result, "coco/bbox_mAP"), 1.0);
        assert_eq!(metric(&result, "coco/dog_precision"), -1.0, "what is difficult does not count");
    }

    #[test]
    fn a_data_set_of_other_pictures_than_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = voc(folder.path());
        let path = folder.path().join("gt.json");
        let file =
            json!({"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]});
        std::fs::write(&path, file.to_string()).unwrap();
        let config = json!({"type": "CocoMetric", "ann_file": path});
        let error = CocoEvaluator::from_dataset(&config, dataset.as_ref()).unwrap_err().to_string();
        assert!(error.contains("gt.json: expected the pictures of the data set"), "{error}");
        assert!(error.contains("a.jpg (so for 1 of its 1; give ann_file"), "{error}");
    }

    #[test]
    fn voc_metric_says_what_to_use() {
        let config = json!({"type": "mmdet.VOCMetric", "metric": "mAP"});
        let error = CocoEvaluator::from_config(&config, &DatasetMeta::from_classes(vec![]));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("use CocoMetric: without ann_file it scores"), "{message}");
    }

    #[test]
    fn wrong_settings_are_refused() {
        let message = |extra| evaluator(extra).unwrap_err().to_string();
        assert!(message(json!({"clsswise": true})).contains("did you mean `classwise`?"));
        assert!(message(json!({"metric": "segm"})).contains("CocoMetric.metric"));
        assert!(message(json!({"metric_items": ["mAP_60"]})).contains("did you mean `mAP_50`?"));
        assert!(message(json!({"ann_file": "no/such.json"})).contains("no/such.json"));
    }
}
