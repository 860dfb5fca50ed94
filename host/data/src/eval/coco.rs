//! The metric `CocoMetric`: collecting detections, and its numbers by their names.
//! Knows nothing of how detections are matched.
//!
//! Source: MMDetection 3.3.0 `evaluation/metrics/coco_metric.py`, pycocotools `COCOeval`. As there, the headline AP
//! takes 100 detections of a picture and the others `proposal_nums[2]`, and the metrics are rounded to three digits;
//! [`CocoResult::stats`] are not. We differ when nothing was detected: the scores are 0 then, where MMDetection gives
//! none.

use std::path::{Path, PathBuf};

use serde_json::Value;
use snaphook_components::{Catalog, Role, type_name};

use super::Detection;
use super::accumulate::{Scores, accumulate};
use super::collected::Collected;
use super::diagnosis::{Confusion, Diagnosis};
use super::matching::{Contest, FoundBox};
use super::mean::{mean, three_digits};
use super::recall::{Picture, average_recalls};
use super::settings::{Scored, Settings, settings};
use super::summary::{ClassScores, Summary};
use super::table::table;
use super::truth::{Objects, Truth};
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
    found: Collected,
    only_seen: bool,
}

/// The scores of a whole data set.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoResult {
    /// Names as MMDetection's, such as `coco/bbox_mAP`, in its order, and the values to three digits; empty with
    /// `format_only`.
    pub metrics: Vec<(String, f64)>,
    /// All of [`STAT_NAMES`] with all digits, of boxes of each class; -1 where there is nothing to be found, or where
    /// `metric` does not ask for it.
    pub stats: [f64; 12],
    /// The same of boxes whatever their class (`metric='proposal'`).
    pub proposal_stats: [f64; 12],
    /// A table for people: one line for each class, and one for all; empty without `metric='bbox'`.
    pub table: String,
    /// What goes wrong where; with `metric='bbox'`.
    pub diagnosis: Option<Diagnosis>,
}

impl CocoEvaluator {
    /// Reads a `CocoMetric` entry and its annotation file.
    ///
    /// Errors: an unknown keyword, a wrong value, annotations that are absent or wrong.
    pub fn from_config(value: &Value, meta: &DatasetMeta) -> Result<Self, DataError> {
        let (settings, ann_file) = entry(value)?;
        let Some(ann_file) = ann_file else {
            let reason = "expected a file, found none (without a data set nothing else is there)";
            return Err(DataError::config("CocoMetric.ann_file", reason));
        };
        Ok(Self::new(Truth::read(&ann_file, &meta.classes)?, settings))
    }

    /// Reads a `CocoMetric` entry for a data set; without `ann_file` the data set's own annotations are what
    /// detections are scored against.
    ///
    /// Errors: as [`CocoEvaluator::from_config`], and a data set with pictures that are not in `ann_file`.
    pub fn from_dataset(value: &Value, dataset: &dyn Dataset) -> Result<Self, DataError> {
        let (settings, ann_file) = entry(value)?;
        let truth = match ann_file {
            Some(file) => Truth::read(&file, &dataset.meta().classes)?,
            None => Truth::of_dataset(dataset)?,
        };
        truth.check_images(dataset)?;
        Ok(Self::new(truth, settings))
    }

    fn new(truth: Truth, settings: Settings) -> Self {
        Self { truth, settings, found: Collected::default(), only_seen: false }
    }

    /// Notes what was found in one picture; a second time for the same picture replaces the first.
    pub fn add(&mut self, image_id: &ImageId, detections: Vec<Detection>) {
        self.found.add(image_id, detections);
    }

    /// All that was added in COCO's results format, which pycocotools reads: one object for each detection, with
    /// `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`.
    pub fn results(&self) -> Value {
        self.found.results(&self.truth.category_ids)
    }

    /// Scores all that was added, and forgets it; writes `<outfile_prefix>.bbox.json` where that is asked for.
    ///
    /// Errors: detections for a picture that the annotations do not have, a file that cannot be written.
    pub fn finish(&mut self) -> Result<CocoResult, DataError> {
        if let Some(prefix) = &self.settings.outfile_prefix {
            write(Path::new(&format!("{prefix}.bbox.json")), &self.results())?;
        }
        let found = self.found.take();
        let mut result = CocoResult {
            metrics: Vec::new(),
            stats: [-1.0; 12],
            proposal_stats: [-1.0; 12],
            table: String::new(),
            diagnosis: None,
        };
        if self.settings.format_only {
            return Ok(result);
        }
        self.check(&found)?;
        let seen = self.only_seen.then(|| self.truth.about(|id| found.has(id)));
        let whole = seen.map(|seen| std::mem::replace(&mut self.truth, seen));
        for scored in &self.settings.scored {
            match scored {
                Scored::Boxes => self.score_boxes(&found, &mut result),
                Scored::Proposals => self.score_proposals(&found, &mut result),
                Scored::ProposalsFast => self.count_proposals(&found, &mut result),
            }
        }
        if let Some(whole) = whole {
            self.truth = whole;
        }
        Ok(result)
    }

    /// Scores only pictures for which something was added, were it an empty list: for evaluations of a part of the data.
    pub fn score_only_seen(&mut self) {
        self.only_seen = true;
    }

    /// The names that [`CocoEvaluator::finish`] gives its metrics.
    pub fn metric_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.settings.format_only {
            return names;
        }
        for scored in &self.settings.scored {
            match scored {
                Scored::Boxes => {
                    let classes = self.truth.names.iter().filter(|_| self.settings.is_classwise);
                    names.extend(classes.map(|class| format!("{class}_precision")));
                    let items = self.settings.items(0..6).into_iter();
                    names.extend(items.map(|item| format!("bbox_{}", STAT_NAMES[item])));
                }
                Scored::Proposals => {
                    let items = self.settings.items(6..12).into_iter();
                    names.extend(items.map(|item| STAT_NAMES[item].to_owned()));
                }
                Scored::ProposalsFast => {
                    let limits = self.settings.proposal_nums.iter();
                    names.extend(limits.map(|limit| format!("AR@{limit}")));
                }
            }
        }
        names.iter().map(|name| self.name(name)).collect()
    }

    fn check(&self, found: &Collected) -> Result<(), DataError> {
        if let Some((id, _)) = found.iter().find(|(id, _)| !self.truth.images.contains_key(id)) {
            let reason = |place| {
                format!("detections were given for image id {id}, which is not in the {place}")
            };
            return Err(match &self.truth.file {
                Some(file) => DataError::annotations(file, reason("file")),
                None => DataError::config("CocoMetric", reason("data set")),
            });
        }
        if found.iter().all(|(_, detections)| detections.is_empty()) {
            let pictures = found.len();
            tracing::warn!(
                "CocoMetric: nothing was detected in {pictures} pictures, so the scores are 0"
            );
        }
        Ok(())
    }

    fn score_boxes(&self, found: &Collected, result: &mut CocoResult) {
        let classes: Vec<ClassScores> =
            (0..self.truth.names.len()).map(|label| self.score(found, &[label])).collect();
        let summary = Summary { settings: &self.settings, classes: &classes };
        result.stats = summary.stats();
        let row = |(class, name): (&ClassScores, &String)| {
            let own = Summary { classes: std::slice::from_ref(class), ..summary };
            (name.clone(), own.class_row())
        };
        let rows: Vec<(String, [f64; 6])> =
            classes.iter().zip(&self.truth.names).map(row).collect();
        if self.settings.is_classwise {
            for (name, row) in &rows {
                self.tell(result, format!("{name}_precision"), row[0]);
            }
        }
        for item in self.settings.items(0..6) {
            self.tell(result, format!("bbox_{}", STAT_NAMES[item]), result.stats[item]);
        }
        let overall: [f64; 6] = std::array::from_fn(|i| result.stats[i]);
        result.table = table(&rows, &overall);
        result.diagnosis = Some(self.diagnosis(found, &classes));
    }

    fn score_proposals(&self, found: &Collected, result: &mut CocoResult) {
        let labels: Vec<usize> = (0..self.truth.names.len()).collect();
        let all = [self.score(found, &labels)];
        result.proposal_stats = Summary { settings: &self.settings, classes: &all }.stats();
        for item in self.settings.items(6..12) {
            self.tell(result, STAT_NAMES[item].to_owned(), result.proposal_stats[item]);
        }
    }

    fn count_proposals(&self, found: &Collected, result: &mut CocoResult) {
        let Settings { thresholds, proposal_nums, .. } = &self.settings;
        let picture = |id: &ImageId| Picture {
            objects: self.truth.anything.get(id).cloned().unwrap_or_default(),
            found: found.of(id).iter().map(|detection| detection.bbox).collect(),
        };
        let pictures: Vec<Picture> = self.truth.images.keys().map(picture).collect();
        let recalls = average_recalls(&pictures, *proposal_nums, thresholds);
        for (limit, recall) in proposal_nums.iter().zip(recalls) {
            let name = self.name(&format!("AR@{limit}"));
            result.metrics.push((name, recall));
        }
    }

    fn name(&self, name: &str) -> String {
        let prefix = &self.settings.prefix;
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// Notes a number to three digits.
    fn tell(&self, result: &mut CocoResult, name: String, value: f64) {
        result.metrics.push((self.name(&name), three_digits(value)));
    }

    /// Scores of detections of some classes taken together, in this order.
    fn score(&self, found: &Collected, labels: &[usize]) -> ClassScores {
        let Settings { thresholds, proposal_nums, .. } = &self.settings;
        let mut by_area: [Vec<_>; 4] = Default::default();
        for (id, objects) in &self.truth.images {
            let truths: Vec<_> =
                labels.iter().filter_map(|label| objects.get(label)).flatten().copied().collect();
            let of_label = |label: &usize| {
                let label = *label as i64;
                found.of(id).iter().filter(move |d| d.label == label).map(found_box)
            };
            let boxes: Vec<FoundBox> = labels.iter().flat_map(of_label).collect();
            if truths.is_empty() && boxes.is_empty() {
                continue;
            }
            let contest = Contest::new(&truths, boxes, proposal_nums[2]);
            for (matches, area) in by_area.iter_mut().zip(AREAS) {
                matches.push(contest.matches(thresholds, area));
            }
        }
        let limit = |most: usize| {
            by_area.each_ref().map(|images| accumulate(images, thresholds.len(), most))
        };
        ClassScores { limits: proposal_nums.map(limit) }
    }

    fn diagnosis(&self, found: &Collected, classes: &[ClassScores]) -> Diagnosis {
        let mut confusion = Confusion::new(self.truth.names.len());
        for (id, objects) in &self.truth.images {
            confusion.add(&wanted(objects), found.of(id));
        }
        let curve = |class: &ClassScores| {
            let scores: Option<&Scores> = class.limits[2][0].as_ref();
            let curve =
                scores.and_then(|scores| scores.curves.first().cloned()).unwrap_or_default();
            let ap = mean(&curve);
            (curve, ap)
        };
        let curves = classes.iter().map(curve).collect();
        let iou = self.settings.thresholds.first().copied().unwrap_or_default();
        confusion.diagnosis(&self.truth.names, curves, iou)
    }
}

/// The objects of a picture that are no crowds, with their classes.
fn wanted(objects: &Objects) -> Vec<([f32; 4], usize)> {
    let corners = |[x, y, width, height]: [f64; 4]| [x, y, x + width, y + height].map(|v| v as f32);
    let of_class = |(label, own): (&usize, &Vec<super::truth::TrueBox>)| {
        let label = *label;
        own.iter()
            .filter(|t| !t.is_crowd)
            .map(move |t| (corners(t.bbox), label))
            .collect::<Vec<_>>()
    };
    objects.iter().flat_map(of_class).collect()
}

fn entry(value: &Value) -> Result<(Settings, Option<PathBuf>), DataError> {
    match type_name(Role::Metric, value, "evaluator")? {
        "CocoMetric" => settings(value),
        _ => Err(Catalog::built_in().unknown(Role::Metric, value, "evaluator").into()),
    }
}

pub(super) fn write(path: &Path, value: &Value) -> Result<(), DataError> {
    let failed = |source| DataError::WriteFile { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Beside the file and renamed, so that nobody reads half of it.
    let mut half = path.as_os_str().to_owned();
    half.push(".tmp");
    std::fs::write(&half, value.to_string()).map_err(failed)?;
    std::fs::rename(&half, path).map_err(failed)
}

fn found_box(detection: &Detection) -> FoundBox {
    let [x1, y1, x2, y2] = detection.bbox.map(f64::from);
    FoundBox { bbox: [x1, y1, x2 - x1, y2 - y1], score: f64::from(detection.score) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    fn pictures_that_were_left_out_do_not_count_when_only_a_part_is_scored() {
        let mut evaluator = evaluator(json!({})).unwrap();
        let seen = |evaluator: &mut CocoEvaluator| {
            evaluator.add(&2.into(), vec![]);
            metric(&evaluator.finish().unwrap(), "coco/bbox_mAP")
        };
        assert_eq!(seen(&mut evaluator), 0.0);
        evaluator.score_only_seen();
        // Nothing is to be found in picture 2.
        assert_eq!(seen(&mut evaluator), -1.0);
        let hit = Detection { bbox: [0.0, 0.0, 40.0, 40.0], score: 0.9, label: 0 };
        evaluator.add(&1.into(), vec![hit]);
        assert_eq!(metric(&evaluator.finish().unwrap(), "coco/bbox_mAP"), 1.0);
    }

    #[test]
    fn names_are_known_before_the_numbers() {
        let kinds = [
            json!({}),
            json!({ "classwise": true, "metric": ["proposal", "bbox", "proposal_fast"] }),
            json!({ "metric_items": ["mAP_s", "mAP"], "prefix": "night" }),
            json!({ "format_only": true, "outfile_prefix": "/nowhere" }),
        ];
        for extra in &kinds[..3] {
            let mut evaluator = evaluator(extra.clone()).unwrap();
            let names = evaluator.metric_names();
            let result = evaluator.finish().unwrap();
            let told: Vec<String> = result.metrics.into_iter().map(|(name, _)| name).collect();
            assert!(!names.is_empty());
            assert_eq!(names, told);
        }
        assert!(evaluator(kinds[3].clone()).unwrap().metric_names().is_empty());
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
    fn results_are_written_and_not_scored_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("new/results");
        let mut evaluator =
            evaluator(json!({"format_only": true, "outfile_prefix": prefix})).unwrap();
        let hit = Detection { bbox: [1.0, 2.0, 41.0, 42.0], score: 0.5, label: 1 };
        evaluator.add(&2.into(), vec![hit]);
        assert_eq!(evaluator.finish().unwrap().metrics, []);
        let written = std::fs::read_to_string(folder.path().join("new/results.bbox.json")).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(
            written,
            json!([{"image_id": 2, "category_id": 3, "bbox": [1.0, 2.0, 40.0, 40.0], "score": 0.5}])
        );
    }

    #[test]
    fn proposals_count_whatever_their_class() {
        let mut evaluator =
            evaluator(json!({"metric": ["bbox", "proposal", "proposal_fast"]})).unwrap();
        let hit = Detection { bbox: [0.0, 0.0, 40.0, 40.0], score: 0.9, label: 1 };
        evaluator.add(&1.into(), vec![hit]);
        let result = evaluator.finish().unwrap();
        assert_eq!(metric(&result, "coco/bbox_mAP"), 0.0);
        assert_eq!(metric(&result, "coco/AR_m@1000"), 1.0);
        let fast: Vec<f64> =
            result.metrics.iter().filter(|(n, _)| n == "coco/AR@100").map(|(_, v)| *v).collect();
        assert_eq!(fast, [1.0, 1.0]);
    }

    #[test]
    fn wrong_settings_are_refused() {
        let message = |extra| evaluator(extra).unwrap_err().to_string();
        assert!(message(json!({"clsswise": true})).contains("did you mean `classwise`?"));
        assert!(message(json!({"metric": "segm"})).contains("CocoMetric.metric"));
        assert!(message(json!({"format_only": true})).contains("CocoMetric.outfile_prefix"));
        assert!(message(json!({"metric_items": ["mAP_60"]})).contains("did you mean `mAP_50`?"));
        assert!(message(json!({"ann_file": "no/such.json"})).contains("no/such.json"));
    }
}
