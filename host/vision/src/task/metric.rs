//! The metrics of `snaphook-data` as the runner's evaluator.

use std::path::PathBuf;

use snaphook_data::{Diagnosis, MetricEvaluator};
use snaphook_report::Diagnosed;
use snaphook_runner::{AnyBatch, AnyPredictions, BoxError, Evaluation, Evaluator};

use crate::{ModelError, Predictions};

/// Metrics of everything that was predicted since the last evaluation.
pub struct DetectionMetrics {
    evaluators: Vec<MetricEvaluator>,
    out: Option<PathBuf>,
}

impl DetectionMetrics {
    /// Several evaluators see the same predictions; their metrics follow one another.
    pub fn new(evaluators: Vec<MetricEvaluator>) -> DetectionMetrics {
        DetectionMetrics { evaluators, out: None }
    }

    /// Writes the predictions to a file before they are scored: COCO's results format.
    pub fn write_to(&mut self, out: PathBuf) {
        self.out = Some(out);
    }

    fn write(&self) -> Result<(), ModelError> {
        let (Some(out), Some(evaluator)) = (&self.out, self.evaluators.first()) else {
            return Ok(());
        };
        let failed = |source| ModelError::PredictionsFile { path: out.clone(), source };
        // Beside the file and renamed, so that nobody reads half of it.
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let half = out.with_file_name(name);
        std::fs::write(&half, evaluator.results().to_string()).map_err(failed)?;
        std::fs::rename(&half, out).map_err(failed)
    }
}

impl Evaluator for DetectionMetrics {
    fn process(&mut self, _: &AnyBatch, predictions: &AnyPredictions) -> Result<(), BoxError> {
        let found = predictions.downcast_ref().ok_or(ModelError::ForeignPredictions)?;
        let Predictions(pictures) = found;
        for picture in pictures {
            for evaluator in &mut self.evaluators {
                evaluator.add(&picture.img_id, picture.detections.clone());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, _samples: usize) -> Result<Evaluation, BoxError> {
        self.write()?;
        let mut evaluation = Evaluation::default();
        let mut tables = Vec::new();
        for evaluator in &mut self.evaluators {
            let result = evaluator.finish()?;
            evaluation.metrics.extend(result.metrics);
            tables.extend(Some(result.table).filter(|table| !table.is_empty()));
            evaluation.diagnoses.extend(result.diagnosis.map(diagnosed));
        }
        evaluation.table = (!tables.is_empty()).then(|| tables.join("\n"));
        Ok(evaluation)
    }
}

/// As the report takes it.
fn diagnosed(found: Diagnosis) -> Diagnosed {
    Diagnosed {
        name: String::new(),
        classes: found.classes,
        precision: found.precision,
        iou: found.iou,
        confusion: found.confusion,
        score_threshold: found.score_threshold,
    }
}
