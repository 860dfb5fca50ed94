//! Reads `scalars.json`, MMEngine's or ours: one record a line. Knows nothing of how curves are drawn.

use serde_json::{Map, Value as Json};

use crate::record::Validation;

/// A value of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Training iterations finished when it was written.
    pub iter: u64,
    /// The epoch that it belongs to, from 1; 0 where the run has none.
    pub epoch: u64,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// A named curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The name of the scalar.
    pub name: String,
    /// Its values in the order in which they were written.
    pub points: Vec<Point>,
}

impl Point {
    /// Where it is: `epoch 3`, or `iter 800` in a run that has no epochs.
    pub fn place(&self) -> String {
        match self.epoch {
            0 => format!("iter {}", self.iter),
            epoch => format!("epoch {epoch}"),
        }
    }
}

impl Curve {
    /// The last value that is a number.
    pub fn last(&self) -> Option<Point> {
        self.points.iter().rev().find(|point| point.value.is_finite()).copied()
    }

    /// The best value: the greatest, or the least.
    pub fn best(&self, is_greater_better: bool) -> Option<Point> {
        let numbers = self.points.iter().filter(|point| point.value.is_finite());
        numbers.copied().reduce(|best, point| {
            let is_better =
                if is_greater_better { point.value > best.value } else { point.value < best.value };
            if is_better { point } else { best }
        })
    }
}

/// The curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scalars {
    /// Losses, rates and times of training.
    pub train: Vec<Curve>,
    /// Metrics and times of validations.
    pub validation: Vec<Curve>,
    /// Lines that are no records, such as the last one of a run that was killed.
    pub broken_lines: usize,
}

impl Scalars {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Scalars {
        Scalars::parse_with(text, &[])
    }

    /// Reads the text of a file of a run that has noted where its validations were.
    pub fn parse_with(text: &str, validations: &[Validation]) -> Scalars {
        let mut validations = validations.iter();
        let mut scalars = Scalars::default();
        let (mut iter, mut epoch) = (0, 0);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let Some(record) = record(line) else {
                scalars.broken_lines += 1;
                continue;
            };
            // MMEngine's records of training have `iter`, those of validations do not.
            let is_training = record.contains_key("iter");
            let step = record.get("step").and_then(Json::as_u64).unwrap_or(0);
            if is_training {
                iter = step;
                epoch = record.get("epoch").and_then(Json::as_u64).unwrap_or(0);
            } else if let Some(known) = validations.next() {
                (iter, epoch) = (known.iter, known.epoch);
            } else {
                match placed(step, iter, epoch) {
                    Place::Epoch(step) => epoch = step,
                    Place::Iter(step) => iter = step,
                    Place::Unknown => {}
                }
            }
            let curves = if is_training { &mut scalars.train } else { &mut scalars.validation };
            for (name, value) in &record {
                if matches!(name.as_str(), "step" | "epoch" | "iter") {
                    continue;
                }
                let value = value.as_f64().unwrap_or(f64::NAN);
                push(curves, plain(name), Point { iter, epoch, value });
            }
        }
        scalars
    }

    /// The training curve of this name.
    pub fn training(&self, name: &str) -> Option<&Curve> {
        self.train.iter().find(|curve| curve.name == name)
    }

    /// Puts the beginning of a run before its resumed part: what the part has itself is left out.
    pub fn after(mut self, mut beginning: Scalars) -> Scalars {
        let first = |curves: &[Curve]| {
            let points = curves.iter().flat_map(|curve| &curve.points);
            points.map(|point| point.iter).min()
        };
        let start = first(&self.train).or(first(&self.validation));
        for (ours, theirs) in [
            (&mut self.train, &mut beginning.train),
            (&mut self.validation, &mut beginning.validation),
        ] {
            for curve in theirs.iter_mut() {
                curve.points.retain(|point| start.is_none_or(|start| point.iter < start));
            }
            for curve in std::mem::take(ours) {
                for point in curve.points {
                    push(theirs, &curve.name, point);
                }
            }
        }
        beginning.broken_lines += self.broken_lines;
        beginning
    }
}

/// What the `step` of a validation's record counts.
enum Place {
    Epoch(u64),
    Iter(u64),
    Unknown,
}

/// Records of validations have the epoch as their step, which is 0 in trainings by iterations, or with
/// `log_metric_by_epoch=False` the iteration; `iter` and `epoch` are those of the last record of training, where epochs are counted from 1.
fn placed(step: u64, iter: u64, epoch: u64) -> Place {
    match step {
        0 => Place::Unknown,
        _ if iter == 0 || step == epoch => Place::Epoch(step),
        // No epoch has passed that has not as many iterations.
        _ if step >= iter => Place::Iter(step),
        _ if epoch > 0 => Place::Epoch(step),
        _ => Place::Unknown,
    }
}

/// The name without the stage that `log_with_hierarchy` puts before it.
fn plain(name: &str) -> &str {
    name.strip_prefix("train/").or_else(|| name.strip_prefix("val/")).unwrap_or(name)
}

fn push(curves: &mut Vec<Curve>, name: &str, point: Point) {
    match curves.iter_mut().find(|curve| curve.name == name) {
        Some(curve) => curve.points.push(point),
        None => curves.push(Curve { name: name.to_owned(), points: vec![point] }),
    }
}

/// Python writes numbers that JSON does not know; here they become null.
fn record(line: &str) -> Option<Map<String, Json>> {
    if let Ok(record) = serde_json::from_str(line) {
        return Some(record);
    }
    let numbers = ["NaN", "Infinity", "-Infinity"];
    let cleaned = numbers.iter().fold(line.to_owned(), |line, number| {
        line.replace(&format!(": {number}"), ": null").replace(&format!(":{number}"), ":null")
    });
    serde_json::from_str(&cleaned).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
{\"lr\": 0.01, \"loss\": 2.5, \"epoch\": 1, \"iter\": 10, \"step\": 10}
{\"lr\": 0.01, \"loss\": NaN, \"epoch\": 1, \"iter\": 20, \"step\": 20}
{\"coco/bbox_mAP\": 0.3, \"data_time\": 0.1, \"step\": 1}
{\"lr\": 0.01, \"loss\": 1.5, \"epoch\": 2, \"iter\": 30, \"step\": 30}
{\"coco/bbox_mAP\": 0.2, \"data_time\": 0.1, \"step\": 2}
{\"lr\": 0.0";

    #[test]
    fn training_and_validation_are_told_apart_and_validations_have_a_place() {
        let scalars = Scalars::parse(LINES);
        let loss = scalars.training("loss").unwrap();
        assert_eq!(loss.points.iter().map(|p| p.iter).collect::<Vec<_>>(), [10, 20, 30]);
        assert!(loss.points[1].value.is_nan());
        let metric = &scalars.validation[0];
        assert_eq!(metric.best(true), Some(Point { iter: 20, epoch: 1, value: 0.3 }));
        assert_eq!(metric.last(), Some(Point { iter: 30, epoch: 2, value: 0.2 }));
        assert_eq!(scalars.broken_lines, 1);
    }

    #[test]
    fn validations_are_placed_by_epochs_or_by_iterations() {
        let places = |text: &str| -> Vec<String> {
            let scalars = Scalars::parse(text);
            scalars.validation[0].points.iter().map(Point::place).collect()
        };
        let by_iterations = "{\"loss\": 1, \"iter\": 3, \"step\": 3}\n{\"mAP\": 0.1, \"step\": 5}\n\
                             {\"loss\": 1, \"iter\": 9, \"step\": 9}\n{\"mAP\": 0.2, \"step\": 10}\n";
        assert_eq!(places(by_iterations), ["iter 5", "iter 10"]);
        let of_mmengine = by_iterations.replace("5}", "0}").replace("10}", "0}");
        assert_eq!(places(&of_mmengine), ["iter 3", "iter 9"]);
        let metrics_by_iteration =
            LINES.replace("\"step\": 1}", "\"step\": 20}").replace("\"step\": 2}", "\"step\": 30}");
        assert_eq!(places(&metrics_by_iteration), ["epoch 1", "epoch 2"]);
        let known = [Validation { epoch: 0, iter: 4 }, Validation { epoch: 0, iter: 8 }];
        let scalars = Scalars::parse_with(&of_mmengine, &known);
        let found: Vec<u64> = scalars.validation[0].points.iter().map(|point| point.iter).collect();
        assert_eq!(found, [4, 8]);
        // The log's interval is longer than an epoch.
        assert_eq!(
            places("{\"mAP\": 0.1, \"step\": 1}\n{\"mAP\": 0.1, \"step\": 2}"),
            ["epoch 1", "epoch 2"]
        );
    }

    #[test]
    fn a_resumed_part_goes_on_where_it_began() {
        let beginning = Scalars::parse(LINES);
        let part = "{\"loss\": 1.75, \"epoch\": 2, \"iter\": 25, \"step\": 25}\n\
                    {\"coco/bbox_mAP\": 0.4, \"step\": 2}\n";
        let whole = Scalars::parse(part).after(beginning);
        let loss = whole.training("loss").unwrap();
        assert_eq!(loss.points.iter().map(|p| p.iter).collect::<Vec<_>>(), [10, 20, 25]);
        let metric: Vec<_> = whole.validation[0].points.iter().map(|p| p.value).collect();
        assert_eq!(metric, [0.3, 0.4]);
    }
}
