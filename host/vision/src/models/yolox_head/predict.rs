//! Boxes from the head's outputs: score threshold, suppression, scale of the original picture.

use serde_json::Value as Json;
use snaphook_components::vision::YoloxTestCfg;
use snaphook_components::{ComponentError, read};
use snaphook_data::Detection;
use tch::{Device, Kind};

use super::YoloxHead;
use super::forward::HeadOutputs;
use super::priors::Priors;
use crate::boxes::to_host;
use crate::nms::Suppression;

/// What `test_cfg` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestSettings {
    score_threshold: f32,
    suppression: Option<Suppression>,
    most: Option<usize>,
}

impl TestSettings {
    /// `max_per_img` bounds the boxes of a picture here; MMDetection's head takes no notice of it.
    pub(super) fn read(value: &Json, path: &str) -> Result<TestSettings, ComponentError> {
        let YoloxTestCfg { score_thr, nms, max_per_img } = read(value, path)?;
        let nms = nms.map(|value| Suppression::read(&value, &format!("{path}.nms")));
        Ok(TestSettings {
            score_threshold: score_thr,
            suppression: nms.transpose()?,
            most: usize::try_from(max_per_img).ok(),
        })
    }
}

/// Those of YOLOX's validation.
impl Default for TestSettings {
    fn default() -> TestSettings {
        let suppression = Some(Suppression::hard(0.65));
        TestSettings { score_threshold: 0.01, suppression, most: None }
    }
}

impl YoloxHead {
    /// The boxes of each picture; `scales` are width and height of the resized picture over the original's.
    pub(crate) fn boxes(
        &mut self,
        outputs: &HeadOutputs,
        scales: &[(f32, f32)],
    ) -> Vec<Vec<Detection>> {
        let priors = self.priors.get(&outputs.map_sizes);
        let boxes = to_host(&Priors::decode(&outputs.boxes, &priors.points, &priors.strides));
        let (best, labels) = outputs.classes.sigmoid().max_dim(-1, true);
        let scores = to_host(&(best * outputs.objectness.sigmoid()));
        let labels = to_host(&labels.to_kind(Kind::Float));
        let count = priors.centers.len();
        let picture = |(i, &scale): (usize, &(f32, f32))| {
            let rows = i * count..(i + 1) * count;
            let boxes = &boxes.as_chunks().0[rows.clone()];
            self.above_threshold(boxes, &scores[rows.clone()], &labels[rows], scale)
        };
        let found = scales.iter().enumerate().map(picture).collect();
        self.finish(found, outputs.boxes.device())
    }

    fn above_threshold(
        &self,
        boxes: &[[f32; 4]],
        scores: &[f32],
        labels: &[f32],
        (scale_x, scale_y): (f32, f32),
    ) -> Vec<Detection> {
        let rows = boxes.iter().zip(scores).zip(labels);
        rows.filter(|((_, score), _)| **score >= self.test.score_threshold)
            .map(|((&[x1, y1, x2, y2], &score), &label)| Detection {
                bbox: [x1 / scale_x, y1 / scale_y, x2 / scale_x, y2 / scale_y],
                score,
                label: label as i64,
            })
            .collect()
    }

    fn finish(&self, found: Vec<Vec<Detection>>, device: Device) -> Vec<Vec<Detection>> {
        let mut kept = match &self.test.suppression {
            Some(suppression) => suppression.apply_all(found, device),
            None => found,
        };
        kept.iter_mut().for_each(|own| own.truncate(self.test.most.unwrap_or(usize::MAX)));
        kept
    }
}
