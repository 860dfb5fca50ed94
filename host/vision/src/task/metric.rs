//! COCO's metric as the runner's evaluator.

use snaphook_data::CocoEvaluator;
use snaphook_runner::{AnyBatch, AnyPredictions, BoxError, Evaluation, Evaluator};

use crate::{ModelError, Predictions};

/// Box AP over everything that was predicted since the last evaluation.
pub struct CocoMetric {
    evaluators: Vec<CocoEvaluator>,
}

impl CocoMetric {
    /// Several evaluators see the same predictions; their metrics follow one another.
    pub fn new(evaluators: Vec<CocoEvaluator>) -> CocoMetric {
        CocoMetric { evaluators }
    }
}

impl Evaluator for CocoMetric {
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
        let mut evaluation = Evaluation::default();
        let mut tables = Vec::new();
        for evaluator in &mut self.evaluators {
            let result = evaluator.finish()?;
            evaluation.metrics.extend(result.metrics);
            tables.push(result.table);
        }
        evaluation.table = (!tables.is_empty()).then(|| tables.join("\n"));
        Ok(evaluation)
    }
}
