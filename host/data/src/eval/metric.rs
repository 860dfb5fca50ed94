//! A metric of a config, whichever it is.
//! Knows nothing of how the single metrics count.

use serde_json::Value;
use snaphook_components::{Role, type_name};

use super::{AccuracyEvaluator, CocoEvaluator, Detection, Diagnosis, VocEvaluator};
use crate::{DataError, Dataset, ImageId};

/// Collects detections, then scores them.
#[derive(Debug)]
pub enum MetricEvaluator {
    /// `CocoMetric`.
    Coco(Box<CocoEvaluator>),
    /// `VOCMetric`.
    Voc(VocEvaluator),
    /// `Accuracy`.
    Accuracy(AccuracyEvaluator),
}

/// The numbers of a metric.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricResult {
    /// By name, in MMDetection's order.
    pub metrics: Vec<(String, f64)>,
    /// For people; may be empty.
    pub table: String,
    /// What goes wrong where, if the metric knows.
    pub diagnosis: Option<Diagnosis>,
}

impl MetricEvaluator {
    /// Reads an entry of an evaluator for a data set.
    ///
    /// Errors: an unknown metric or keyword, a wrong value, annotations that are absent or wrong.
    pub fn from_dataset(value: &Value, dataset: &dyn Dataset) -> Result<Self, DataError> {
        match type_name(Role::Metric, value, "evaluator")? {
            "Accuracy" => Ok(Self::Accuracy(AccuracyEvaluator::from_dataset(value, dataset)?)),
            "VOCMetric" => Ok(Self::Voc(VocEvaluator::from_dataset(value, dataset)?)),
            _ => Ok(Self::Coco(Box::new(CocoEvaluator::from_dataset(value, dataset)?))),
        }
    }

    /// The metric's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Coco(_) => "CocoMetric",
            Self::Voc(_) => "VOCMetric",
            Self::Accuracy(_) => "Accuracy",
        }
    }

    /// Notes what was found in one picture; a second time for the same picture replaces the first.
    pub fn add(&mut self, image_id: &ImageId, detections: Vec<Detection>) {
        match self {
            Self::Coco(evaluator) => evaluator.add(image_id, detections),
            Self::Voc(evaluator) => evaluator.collected_mut().add(image_id, detections),
            Self::Accuracy(evaluator) => evaluator.collected_mut().add(image_id, detections),
        }
    }

    /// Scores only pictures for which something was added, were it an empty list: for evaluations of a part of the data.
    pub fn score_only_seen(&mut self) {
        match self {
            Self::Coco(evaluator) => evaluator.score_only_seen(),
            Self::Voc(evaluator) => evaluator.score_only_seen(),
            // It never asks for others.
            Self::Accuracy(_) => {}
        }
    }

    /// All that was added in COCO's results format, see [`CocoEvaluator::results`]; of classes, the best of each picture.
    pub fn results(&self) -> Value {
        match self {
            Self::Coco(evaluator) => evaluator.results(),
            Self::Voc(evaluator) => evaluator.collected().results(&evaluator.category_ids()),
            Self::Accuracy(evaluator) => evaluator.results(),
        }
    }

    /// The names that [`MetricEvaluator::finish`] gives its metrics.
    pub fn metric_names(&self) -> Vec<String> {
        match self {
            Self::Coco(evaluator) => evaluator.metric_names(),
            Self::Voc(evaluator) => evaluator.metric_names(),
            Self::Accuracy(evaluator) => evaluator.metric_names(),
        }
    }

    /// Scores all that was added, and forgets it.
    ///
    /// Errors: detections for a picture that the annotations do not have, a file that cannot be written.
    pub fn finish(&mut self) -> Result<MetricResult, DataError> {
        Ok(match self {
            Self::Coco(evaluator) => {
                let result = evaluator.finish()?;
                let (metrics, table) = (result.metrics, result.table);
                MetricResult { metrics, table, diagnosis: result.diagnosis }
            }
            Self::Voc(evaluator) => {
                let result = evaluator.finish()?;
                let diagnosis = Some(result.diagnosis);
                MetricResult { metrics: result.metrics, table: result.table, diagnosis }
            }
            Self::Accuracy(evaluator) => evaluator.finish()?,
        })
    }
}
