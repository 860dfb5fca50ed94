//! Non-maximum suppression by class, on the CPU.
//!
//! Source: MMCV `ops/nms.py`, `batched_nms`. There, classes are kept apart by moving their boxes away from
//! each other; here, by comparing labels, which leaves the coordinates their full precision.

use std::cmp::Ordering;

use serde_json::Value as Json;
use snaphook_components::vision::Nms;
use snaphook_components::{ComponentError, read};
use snaphook_data::Detection;

use crate::boxes::iou;

/// What `nms` of a `test_cfg` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Suppression {
    /// A box with more overlap than this with a better one is left out.
    pub(crate) iou_threshold: f32,
    /// Whether boxes of other classes count.
    pub(crate) class_agnostic: bool,
    /// Most boxes to keep.
    pub(crate) most: Option<usize>,
}

impl Suppression {
    pub(crate) fn read(value: &Json, path: &str) -> Result<Suppression, ComponentError> {
        let Nms { iou_threshold, class_agnostic, max_num, .. } = read(value, path)?;
        Ok(Suppression { iou_threshold, class_agnostic, most: usize::try_from(max_num).ok() })
    }

    /// The boxes that stay, best first; equal scores keep their order.
    pub(crate) fn apply(&self, mut boxes: Vec<Detection>) -> Vec<Detection> {
        boxes.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        let mut kept: Vec<Detection> = Vec::new();
        for candidate in boxes {
            if self.most.is_some_and(|most| kept.len() >= most) {
                break;
            }
            if !kept.iter().any(|better| self.suppresses(better, &candidate)) {
                kept.push(candidate);
            }
        }
        kept
    }

    fn suppresses(&self, better: &Detection, candidate: &Detection) -> bool {
        (self.class_agnostic || better.label == candidate.label)
            && iou(&better.bbox, &candidate.bbox) > self.iou_threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Suppression = Suppression { iou_threshold: 0.5, class_agnostic: false, most: None };

    fn detection(x: f32, score: f32, label: i64) -> Detection {
        Detection { bbox: [x, 0.0, x + 8.0, 8.0], score, label }
    }

    fn scores(boxes: &[Detection]) -> Vec<f32> {
        boxes.iter().map(|detection| detection.score).collect()
    }

    #[test]
    fn the_best_of_a_heap_stays_and_a_box_of_another_class_too() {
        let boxes = vec![
            detection(0.0, 0.5, 0),
            detection(1.0, 0.9, 0), // overlap with the first 7 / 9
            detection(6.0, 0.4, 0), // overlap with the second 3 / 13
            detection(1.0, 0.3, 1),
        ];
        assert_eq!(scores(&HALF.apply(boxes.clone())), [0.9, 0.4, 0.3]);
        let agnostic = Suppression { class_agnostic: true, ..HALF };
        assert_eq!(scores(&agnostic.apply(boxes.clone())), [0.9, 0.4]);
        let one = Suppression { most: Some(1), ..HALF };
        assert_eq!(scores(&one.apply(boxes)), [0.9]);
    }
}
