//! The metric `Accuracy`: the share of pictures whose class is among the best ones of the model.
//! Knows nothing of boxes: what was found in a picture are its classes, the best first.
//!
//! Source: MMPretrain 1.x `evaluation/metrics/single_label.py`, `Accuracy`: in percent, named `top1`, and with several
//! thresholds `top1_thr-0.50`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snaphook_components::{data as declared, read};

use super::Detection;
use super::collected::Collected;
use super::metric::MetricResult;
use crate::{DataError, Dataset, ImageId};

/// MMPretrain's `Accuracy`: collects predictions, then scores them.
#[derive(Debug)]
pub struct AccuracyEvaluator {
    truth: BTreeMap<ImageId, i64>,
    classes: Vec<String>,
    settings: declared::Accuracy,
    found: Collected,
}

impl AccuracyEvaluator {
    /// Reads an `Accuracy` entry for a data set.
    ///
    /// Errors: an unknown keyword, a wrong value, a data set whose pictures have no class.
    pub fn from_dataset(value: &Value, dataset: &dyn Dataset) -> Result<Self, DataError> {
        let settings: declared::Accuracy = read(value, "Accuracy")?;
        let mut truth = BTreeMap::new();
        for record in (0..dataset.len()).map(|index| dataset.record(index)) {
            let Some(label) = record.label else {
                let reason = "expected a data set with a class for each picture, such as CustomDataset, found one \
                              with boxes";
                return Err(DataError::config("Accuracy", reason));
            };
            truth.insert(record.img_id.clone(), label);
        }
        let classes = dataset.meta().classes.clone();
        Ok(Self { truth, classes, settings, found: Collected::default() })
    }

    pub(super) fn collected_mut(&mut self) -> &mut Collected {
        &mut self.found
    }

    /// The best class of each picture that was added.
    pub(super) fn results(&self) -> Value {
        let class = |label: i64| usize::try_from(label).ok().and_then(|i| self.classes.get(i));
        let one = |(id, found): (&ImageId, &[Detection])| {
            let best = found.first()?;
            Some(
                json!({"image_id": id, "label": best.label, "class": class(best.label), "score": best.score}),
            )
        };
        self.found.iter().filter_map(one).collect()
    }

    /// The names that [`AccuracyEvaluator::finish`] gives its metrics.
    pub(super) fn metric_names(&self) -> Vec<String> {
        let thresholds = self.settings.thrs.clone().into_list();
        let each = |most: &usize| -> Vec<String> {
            thresholds.iter().map(|t| self.name(&short_name(*most, &thresholds, *t))).collect()
        };
        self.settings.topk.clone().into_list().iter().flat_map(each).collect()
    }

    /// Scores all that was added, and forgets it.
    ///
    /// Errors: predictions for a picture that the data set does not have.
    pub(super) fn finish(&mut self) -> Result<MetricResult, DataError> {
        let found = self.found.take();
        if let Some((id, _)) = found.iter().find(|(id, _)| !self.truth.contains_key(id)) {
            let reason = format!("predictions were given for {id}, which is not in the data set");
            return Err(DataError::config("Accuracy", reason));
        }
        let pictures: Vec<(i64, &[Detection])> =
            found.iter().map(|(id, found)| (self.truth[id], found)).collect();
        let mut result = MetricResult::default();
        let thresholds = self.settings.thrs.clone().into_list();
        for most in self.settings.topk.clone().into_list() {
            for threshold in &thresholds {
                let name = short_name(most, &thresholds, *threshold);
                let is_right = |(label, found): &&(i64, &[Detection])| {
                    let best = found.iter().take(most);
                    let mut above = best.filter(|found| f64::from(found.score) > *threshold);
                    above.any(|detection| detection.label == *label)
                };
                let right = pictures.iter().filter(is_right).count();
                result.metrics.push((self.name(&name), percent(right, pictures.len())));
            }
        }
        result.table = self.table(&pictures);
        Ok(result)
    }

    fn name(&self, name: &str) -> String {
        let prefix = &self.settings.prefix;
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// A line for each class: its pictures, those that were found, and what it is taken for most.
    fn table(&self, pictures: &[(i64, &[Detection])]) -> String {
        let widest = self.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        let mut lines = vec![format!("{:widest$}  pictures  right      taken for", "class")];
        for (label, class) in self.classes.iter().enumerate() {
            let own = pictures.iter().filter(|(truth, _)| *truth == label as i64);
            let best = |(_, found): &(i64, &[Detection])| found.first().map(|best| best.label);
            let (mut count, mut right, mut wrong) = (0, 0, BTreeMap::<i64, usize>::new());
            for best in own.filter_map(best) {
                count += 1;
                match best == label as i64 {
                    true => right += 1,
                    false => *wrong.entry(best).or_default() += 1,
                }
            }
            // The smaller label, of several that are as many.
            let most = wrong.iter().max_by_key(|(label, count)| (**count, -**label));
            let other = most.map_or(String::new(), |(label, count)| {
                let name = usize::try_from(*label).ok().and_then(|i| self.classes.get(i));
                format!("{} ({count})", name.cloned().unwrap_or_else(|| label.to_string()))
            });
            let share = percent(right, count);
            let line = format!("{class:widest$}  {count:8}  {share:6.2} %   {other}");
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n") + "\n"
    }
}

fn short_name(most: usize, thresholds: &[f64], threshold: f64) -> String {
    match thresholds {
        [_] => format!("top{most}"),
        _ => format!("top{most}_thr-{threshold:.2}"),
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Image, MetricEvaluator, build_dataset};

    fn dataset() -> (tempfile::TempDir, Arc<dyn Dataset>) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ant/1.png", "ant/2.png", "bee/3.png", "cat/4.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            Image::filled(2, 2, [0; 3]).save(&path).unwrap();
        }
        let value = json!({"type": "CustomDataset", "data_root": folder.path()});
        let dataset = build_dataset(&value).unwrap();
        (folder, dataset)
    }

    /// The classes of a picture with their scores, the best first.
    fn scores(list: &[(i64, f32)]) -> Vec<Detection> {
        list.iter().map(|&(label, score)| Detection { bbox: [0.0; 4], score, label }).collect()
    }

    fn finish(value: Value) -> MetricResult {
        let (_folder, dataset) = dataset();
        let mut metric = MetricEvaluator::from_dataset(&value, dataset.as_ref()).unwrap();
        let add = |metric: &mut MetricEvaluator, name: &str, list: &[(i64, f32)]| {
            metric.add(&ImageId::Name(name.into()), scores(list));
        };
        add(&mut metric, "ant/1.png", &[(0, 0.7), (1, 0.2), (2, 0.1)]);
        add(&mut metric, "ant/2.png", &[(2, 0.5), (0, 0.4), (1, 0.1)]);
        add(&mut metric, "bee/3.png", &[(1, 0.4), (0, 0.3), (2, 0.3)]);
        add(&mut metric, "cat/4.png", &[(1, 0.5), (0, 0.3), (2, 0.2)]);
        metric.finish().unwrap()
    }

    #[test]
    fn shares_are_in_percent_and_have_mmpretrains_names() {
        let result = finish(json!({"type": "Accuracy", "topk": [1, 2]}));
        let expected = [("accuracy/top1", 50.0), ("accuracy/top2", 75.0)];
        assert_eq!(result.metrics, expected.map(|(name, value)| (name.to_owned(), value)));
        let table: Vec<&str> = result.table.lines().collect();
        assert_eq!(table[1], "ant           2   50.00 %   cat (1)");
        assert_eq!(table[2], "bee           1  100.00 %");
        let result = finish(json!({"type": "Accuracy", "thrs": [0.45, 0.1]}));
        let expected = [("accuracy/top1_thr-0.45", 25.0), ("accuracy/top1_thr-0.10", 50.0)];
        assert_eq!(result.metrics, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn pictures_with_boxes_have_no_accuracy() {
        let folder = tempfile::tempdir().unwrap();
        crate::shapes::ShapesOptions { train: 1, val: 1, size: 32, seed: 0 }
            .draw_into(folder.path())
            .unwrap();
        let value = json!({"type": "CocoDataset", "data_root": folder.path(), "test_mode": true,
            "ann_file": "annotations/val.json", "data_prefix": {"img": "val/"},
            "metainfo": {"classes": crate::shapes::CLASSES}});
        let dataset = build_dataset(&value).unwrap();
        let error = MetricEvaluator::from_dataset(&json!({"type": "Accuracy"}), dataset.as_ref());
        let error = error.err().unwrap().to_string();
        assert!(error.starts_with("Accuracy: expected a data set with a class"), "{error}");
    }
}
