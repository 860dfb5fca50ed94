//! The metrics of `snaphook-data` as the runner's evaluator.

use std::path::PathBuf;

use snaphook_data::{Detection, Diagnosis, ImageId, MetricEvaluator};
use snaphook_report::Diagnosed;
use snaphook_runner::{AnyBatch, AnyPredictions, BoxError, Evaluation, Evaluator};

use crate::{ModelError, PicturePredictions, Predictions};

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

    fn add(&mut self, picture: &PicturePredictions) {
        for evaluator in &mut self.evaluators {
            evaluator.add(&picture.img_id, picture.detections.clone());
        }
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

/// A picture's predictions with numbers as bits: JSON knows no NaN, and one that a model predicts must arrive.
type Packed = (ImageId, Vec<([u32; 5], i64)>);

fn packed(picture: &PicturePredictions) -> Packed {
    let numbers = |found: &Detection| {
        let [left, top, right, bottom] = found.bbox;
        ([left, top, right, bottom, found.score].map(f32::to_bits), found.label)
    };
    (picture.img_id.clone(), picture.detections.iter().map(numbers).collect())
}

fn unpacked((img_id, numbers): Packed) -> PicturePredictions {
    let detection = |(bits, label): ([u32; 5], i64)| {
        let [left, top, right, bottom, score] = bits.map(f32::from_bits);
        Detection { bbox: [left, top, right, bottom], score, label }
    };
    PicturePredictions { img_id, detections: numbers.into_iter().map(detection).collect() }
}

fn predictions_of(predictions: &AnyPredictions) -> Result<&Predictions, ModelError> {
    predictions.downcast_ref().ok_or(ModelError::ForeignPredictions)
}

impl Evaluator for DetectionMetrics {
    fn process(&mut self, _: &AnyBatch, predictions: &AnyPredictions) -> Result<(), BoxError> {
        let Predictions(pictures) = predictions_of(predictions)?;
        pictures.iter().for_each(|picture| self.add(picture));
        Ok(())
    }

    fn pack(&self, _: &AnyBatch, predictions: &AnyPredictions) -> Result<Vec<Vec<u8>>, BoxError> {
        let Predictions(pictures) = predictions_of(predictions)?;
        pictures.iter().map(|picture| Ok(serde_json::to_vec(&packed(picture))?)).collect()
    }

    fn process_packed(&mut self, sample: &[u8]) -> Result<(), BoxError> {
        self.add(&unpacked(serde_json::from_slice(sample)?));
        Ok(())
    }

    fn score_only_seen(&mut self) {
        self.evaluators.iter_mut().for_each(MetricEvaluator::score_only_seen);
    }

    fn metric_names(&self) -> Option<Vec<String>> {
        Some(self.evaluators.iter().flat_map(|evaluator| evaluator.metric_names()).collect())
    }

    fn evaluate(&mut self, _samples: usize) -> Result<Evaluation, BoxError> {
        self.write()?;
        let mut evaluation = Evaluation::default();
        let mut tables = Vec::new();
        for evaluator in &mut self.evaluators {
            let result = evaluator.finish()?;
            evaluation.metrics.extend(result.metrics);
            tables.extend(Some(result.table).filter(|table| !table.is_empty()));
            let named = |found| Diagnosed { name: evaluator.name().to_owned(), ..diagnosed(found) };
            evaluation.diagnoses.extend(result.diagnosis.map(named));
        }
        if let [only] = evaluation.diagnoses.as_mut_slice() {
            only.name.clear();
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
        ap: found.ap,
        iou: found.iou,
        confusion: found.confusion,
        score_threshold: found.score_threshold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_arrive_with_every_bit() {
        let bbox = [0.1, f32::INFINITY, -0.0, f32::NAN];
        let detections = vec![Detection { bbox, score: 0.3, label: 2 }];
        let picture = PicturePredictions { img_id: ImageId::from(7), detections };
        let bytes = serde_json::to_vec(&packed(&picture)).unwrap();
        let found = unpacked(serde_json::from_slice(&bytes).unwrap());
        assert_eq!(found.img_id, picture.img_id);
        assert_eq!(packed(&found), packed(&picture));
    }
}
