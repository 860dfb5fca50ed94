//! The metric `VOCMetric`: mean average precision as Pascal VOC's development kit counts it.
//! Knows nothing of annotation files; the data set's own annotations are the truth.
//!
//! Source: MMDetection 3.3.0 `evaluation/metrics/voc_metric.py` and `evaluation/functional/mean_ap.py` (`tpfp_default`,
//! boxes one pixel larger at the right and below). We differ in the order of equal scores: the first stays first.

use std::collections::BTreeMap;

use serde_json::Value;
use snaphook_components::{data as declared, read};

use super::Detection;
use super::collected::Collected;
use super::diagnosis::{Confusion, Diagnosis};
use super::mean::mean;
use super::overlap::overlap;
use crate::{DataError, Dataset, ImageId, Instance};

/// MMDetection's `VOCMetric`: collects detections, then scores them.
#[derive(Debug)]
pub struct VocEvaluator {
    truth: BTreeMap<ImageId, Vec<Instance>>,
    classes: Vec<String>,
    thresholds: Vec<f64>,
    is_eleven_points: bool,
    prefix: String,
    found: Collected,
    only_seen: bool,
}

/// The scores of a whole data set.
#[derive(Debug, Clone, PartialEq)]
pub struct VocResult {
    /// `pascal_voc/mAP`, the mean of what follows with all digits, then `pascal_voc/AP50` and the like to three.
    pub metrics: Vec<(String, f64)>,
    /// For each overlap, AP of each class; `None` where nothing is to be found.
    pub class_aps: Vec<Vec<Option<f64>>>,
    /// A table for people, for each overlap.
    pub table: String,
    /// What goes wrong where, at the first overlap.
    pub diagnosis: Diagnosis,
}

/// What became of the detections of one class.
struct ClassCount {
    objects: usize,
    /// Whether each detection that counts is right, best score first.
    is_right: Vec<(f32, bool)>,
    detections: usize,
}

impl ClassCount {
    /// Recall and precision after each detection that counts.
    fn points(&self) -> Vec<(f64, f64)> {
        let (mut right, mut points) = (0.0, Vec::with_capacity(self.is_right.len()));
        for (place, (_, is_right)) in self.is_right.iter().enumerate() {
            right += f64::from(u8::from(*is_right));
            // As there: precision is of single precision, recall is not.
            let precision = (right / (place as f64 + 1.0)) as f32;
            points.push((right / self.objects as f64, f64::from(precision)));
        }
        points
    }

    /// Precision at recalls 0, 0.01, ... 1, made monotone from the right; empty where nothing is to be found.
    fn curve(&self) -> Vec<f64> {
        if self.objects == 0 {
            return Vec::new();
        }
        let mut points = self.points();
        for place in (1..points.len()).rev() {
            points[place - 1].1 = points[place - 1].1.max(points[place].1);
        }
        let precision_at = |step: usize| {
            let place = points.partition_point(|(recall, _)| *recall < step as f64 / 100.0);
            points.get(place).map_or(0.0, |(_, precision)| *precision)
        };
        (0..=100).map(precision_at).collect()
    }
}

impl VocEvaluator {
    /// Reads a `VOCMetric` entry for a data set.
    ///
    /// Errors: an unknown keyword, a wrong value.
    pub fn from_dataset(value: &Value, dataset: &dyn Dataset) -> Result<Self, DataError> {
        let declared: declared::VocMetric = read(value, "VOCMetric")?;
        let is_eleven_points = declared.eval_mode == "11points";
        match (dataset.meta().dataset_type.as_deref(), is_eleven_points) {
            (Some("VOC2007"), false) => {
                tracing::warn!("VOCMetric: VOC2007 is usually scored with eval_mode='11points'")
            }
            (Some("VOC2012"), true) => {
                tracing::warn!("VOCMetric: VOC2012 is usually scored with eval_mode='area'")
            }
            _ => {}
        }
        let records = (0..dataset.len()).map(|index| dataset.record(index));
        Ok(Self {
            truth: records.map(|r| (r.img_id.clone(), r.instances.clone())).collect(),
            classes: dataset.meta().classes.clone(),
            thresholds: declared.iou_thrs.into_list(),
            is_eleven_points,
            prefix: declared.prefix,
            found: Collected::default(),
            only_seen: false,
        })
    }

    /// Scores only pictures for which something was added, were it an empty list: for evaluations of a part of the data.
    pub fn score_only_seen(&mut self) {
        self.only_seen = true;
    }

    pub(super) fn collected(&self) -> &Collected {
        &self.found
    }

    pub(super) fn collected_mut(&mut self) -> &mut Collected {
        &mut self.found
    }

    pub(super) fn category_ids(&self) -> Vec<i64> {
        (1..).take(self.classes.len()).collect()
    }

    /// The names that [`VocEvaluator::finish`] gives its metrics.
    pub fn metric_names(&self) -> Vec<String> {
        let of_threshold = self.thresholds.iter().map(|threshold| ap_name(*threshold));
        std::iter::once("mAP".to_owned()).chain(of_threshold).map(|name| self.name(&name)).collect()
    }

    /// Scores all that was added, and forgets it.
    ///
    /// Errors: detections for a picture that the data set does not have.
    pub fn finish(&mut self) -> Result<VocResult, DataError> {
        let found = self.found.take();
        if let Some((id, _)) = found.iter().find(|(id, _)| !self.truth.contains_key(id)) {
            let reason =
                format!("detections were given for image id {id}, which is not in the data set");
            return Err(DataError::config("VOCMetric", reason));
        }
        let mut result = VocResult {
            metrics: Vec::new(),
            class_aps: Vec::new(),
            table: String::new(),
            diagnosis: Diagnosis::default(),
        };
        let mut means = Vec::new();
        for threshold in &self.thresholds {
            let counts: Vec<ClassCount> = (0..self.classes.len())
                .map(|label| self.count(&found, label as i64, *threshold))
                .collect();
            let aps: Vec<Option<f64>> = counts.iter().map(|c| self.average_precision(c)).collect();
            let known: Vec<f64> = aps.iter().flatten().copied().collect();
            let mean = mean(&known).unwrap_or(0.0);
            let name = self.name(&ap_name(*threshold));
            result.metrics.push((name, three_digits_of_python(mean)));
            if result.class_aps.is_empty() {
                result.diagnosis = self.diagnosis(&found, &counts, &aps, *threshold);
            }
            result.table += &self.table(*threshold, &counts, &aps, mean);
            result.class_aps.push(aps);
            means.push(mean);
        }
        let mean = means.iter().sum::<f64>() / means.len().max(1) as f64;
        result.metrics.insert(0, (self.name("mAP"), mean));
        Ok(result)
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    fn count(&self, found: &Collected, label: i64, threshold: f64) -> ClassCount {
        let mut count = ClassCount { objects: 0, is_right: Vec::new(), detections: 0 };
        for (id, instances) in &self.truth {
            if self.only_seen && !found.has(id) {
                continue;
            }
            let own: Vec<&Instance> = instances.iter().filter(|i| i.label == label).collect();
            count.objects += own.iter().filter(|i| !i.ignore).count();
            let mut detections: Vec<&Detection> =
                found.of(id).iter().filter(|d| d.label == label).collect();
            count.detections += detections.len();
            detections.sort_by(|a, b| b.score.total_cmp(&a.score));
            judge(&own, &detections, threshold, &mut count.is_right);
        }
        count.is_right.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        count
    }

    fn average_precision(&self, count: &ClassCount) -> Option<f64> {
        if count.objects == 0 {
            return None;
        }
        let points = count.points();
        Some(if self.is_eleven_points { eleven_points(&points) } else { area(&points) })
    }

    fn diagnosis(
        &self,
        found: &Collected,
        counts: &[ClassCount],
        aps: &[Option<f64>],
        iou: f64,
    ) -> Diagnosis {
        let mut confusion = Confusion::new(self.classes.len());
        for (id, instances) in self.truth.iter().filter(|(id, _)| !self.only_seen || found.has(id))
        {
            let wanted = instances.iter().filter(|instance| !instance.ignore);
            let label =
                |i: &Instance| usize::try_from(i.label).ok().filter(|l| *l < self.classes.len());
            let objects: Vec<_> = wanted.filter_map(|i| Some((i.bbox, label(i)?))).collect();
            confusion.add(&objects, found.of(id));
        }
        let curves = counts.iter().map(ClassCount::curve).zip(aps.iter().copied()).collect();
        confusion.diagnosis(&self.classes, curves, iou)
    }

    fn table(
        &self,
        threshold: f64,
        counts: &[ClassCount],
        aps: &[Option<f64>],
        mean: f64,
    ) -> String {
        use std::fmt::Write;
        let widest = self.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        let mut text = format!("IoU {threshold}\n");
        let mut line = |name: &str, cells: [String; 4]| {
            let padding = " ".repeat(widest.saturating_sub(name.chars().count()));
            let [objects, detections, recall, ap] = cells;
            let _ = writeln!(
                text,
                "{name}{padding}  {objects:>7}  {detections:>10}  {recall:>6}  {ap:>5}"
            );
        };
        line("class", ["objects", "detections", "recall", "AP"].map(str::to_owned));
        for ((name, count), ap) in self.classes.iter().zip(counts).zip(aps) {
            let right = count.is_right.iter().filter(|(_, is_right)| *is_right).count();
            let shown = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
            let recall = (count.objects > 0).then(|| right as f64 / count.objects as f64);
            let counts = [count.objects, count.detections].map(|n| n.to_string());
            let [objects, detections] = counts;
            line(name, [objects, detections, shown(recall), shown(*ap)]);
        }
        line("mAP", [String::new(), String::new(), String::new(), format!("{mean:.3}")]);
        text
    }
}

/// Each detection, best first, against the object that it overlaps most: the first one to find it is right, later ones
/// are wrong; one on an object that is to be ignored is neither.
fn judge(
    objects: &[&Instance],
    detections: &[&Detection],
    threshold: f64,
    judged: &mut Vec<(f32, bool)>,
) {
    // Objects that are to be ignored come last, as there.
    let mut order: Vec<&Instance> = objects.to_vec();
    order.sort_by_key(|instance| instance.ignore);
    let mut is_taken = vec![false; order.len()];
    for detection in detections {
        let mut best: Option<(usize, f32)> = None;
        for (place, object) in order.iter().enumerate() {
            let overlap = overlap(&detection.bbox, &object.bbox, 1.0);
            if best.is_none_or(|(_, most)| overlap > most) {
                best = Some((place, overlap));
            }
        }
        match best.filter(|(_, overlap)| f64::from(*overlap) >= threshold) {
            Some((place, _)) if order[place].ignore => {}
            Some((place, _)) => {
                let is_first = !std::mem::replace(&mut is_taken[place], true);
                judged.push((detection.score, is_first));
            }
            None => judged.push((detection.score, false)),
        }
    }
}

/// Area below the curve of (recall, precision), with precision made monotone from the right.
fn area(points: &[(f64, f64)]) -> f64 {
    let mut curve = Vec::with_capacity(points.len() + 2);
    curve.push((0.0, 0.0));
    curve.extend_from_slice(points);
    curve.push((1.0, 0.0));
    for place in (1..curve.len()).rev() {
        curve[place - 1].1 = curve[place - 1].1.max(curve[place].1);
    }
    let steps = curve.windows(2).filter(|pair| pair[0].0 != pair[1].0);
    steps.map(|pair| (pair[1].0 - pair[0].0) * pair[1].1).sum()
}

/// Mean over recalls 0, 0.1, ... 1 of the best precision from there on.
fn eleven_points(points: &[(f64, f64)]) -> f64 {
    let best_from = |step: u8| {
        let least = f64::from(step) * 0.1;
        let beyond = points.iter().filter(|(recall, _)| *recall >= least);
        beyond.map(|(_, precision)| *precision).fold(0.0, f64::max)
    };
    (0..=10).map(best_from).sum::<f64>() / 11.0
}

/// Three digits, as Python rounds to them: by the decimal digits, not by a product.
fn three_digits_of_python(value: f64) -> f64 {
    format!("{value:.3}").parse().unwrap_or(value)
}

/// `AP50` for 0.5.
fn ap_name(threshold: f64) -> String {
    format!("AP{:02}", (threshold * 100.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_modes_of_a_known_curve() {
        // Right, wrong, right, of two objects.
        let points = [(0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0)];
        assert!((area(&points) - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-9);
        assert!((eleven_points(&points) - (6.0 + 5.0 * 2.0 / 3.0) / 11.0).abs() < 1e-9);
        assert_eq!((area(&[]), eleven_points(&[])), (0.0, 0.0));
    }

    #[test]
    fn the_curve_is_of_all_recalls_and_monotone() {
        let is_right = vec![(0.9, true), (0.8, false), (0.7, true)];
        let curve = ClassCount { objects: 4, is_right, detections: 3 }.curve();
        assert_eq!(curve.len(), 101);
        let third = f64::from(2.0_f32 / 3.0);
        assert_eq!(
            [0, 25, 26, 50, 51, 100].map(|at| curve[at]),
            [1.0, 1.0, third, third, 0.0, 0.0]
        );
        let nothing = ClassCount { objects: 0, is_right: vec![(0.9, false)], detections: 1 };
        assert!(nothing.curve().is_empty());
    }

    #[test]
    fn digits_are_rounded_as_python_rounds_floats() {
        // 0.0015 is a bit more than that, 0.0005 and 0.0025 too; 0.0625 is exact.
        assert_eq!([0.0015, 0.5125, 0.2345].map(three_digits_of_python), [0.002, 0.512, 0.234]);
    }

    #[test]
    fn what_is_to_be_ignored_is_neither_right_nor_wrong() {
        let object = |x: f32, ignore| Instance { bbox: [x, 0.0, x + 9.0, 9.0], label: 0, ignore };
        let found =
            |x: f32, score: f32| Detection { bbox: [x, 0.0, x + 9.0, 9.0], score, label: 0 };
        let (hard, easy) = (object(0.0, true), object(50.0, false));
        let detections = [found(0.0, 0.9), found(50.0, 0.8), found(51.0, 0.7), found(90.0, 0.6)];
        let mut judged = Vec::new();
        judge(&[&hard, &easy], &detections.each_ref(), 0.5, &mut judged);
        assert_eq!(judged, [(0.8, true), (0.7, false), (0.6, false)]);
    }
}
