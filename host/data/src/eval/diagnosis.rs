//! What goes wrong where: precision over recall of each class, and which class is taken for which.
//! Knows nothing of how it is drawn.
//!
//! Source: MMDetection 3.3.0 `tools/analysis_tools/confusion_matrix.py`. We differ in one point: crowds are neither
//! found nor missed.

use serde::{Deserialize, Serialize};

use super::Detection;
use super::overlap::overlap;

/// Scores below do not count for the matrix, as in MMDetection's tool.
const SCORE_THRESHOLD: f32 = 0.3;
/// Overlap from which on a box means an object.
const OVERLAP: f32 = 0.5;

/// What goes wrong where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Name of each class.
    pub classes: Vec<String>,
    /// For each class, precision at recalls 0, 0.01, ... 1 and the overlap `iou`; empty where nothing is to be found.
    pub precision: Vec<Vec<f64>>,
    /// AP of each class at the overlap `iou`, as the metric counts it.
    pub ap: Vec<Option<f64>>,
    /// The overlap of `precision`.
    pub iou: f64,
    /// Boxes by true class (rows) and found class (columns). The last row is of boxes on the background, the last
    /// column of objects that were not found.
    pub confusion: Vec<Vec<u64>>,
    /// Boxes with lower scores are not in `confusion`.
    pub score_threshold: f32,
}

/// Counts which class is taken for which.
#[derive(Debug)]
pub(super) struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    pub(super) fn new(classes: usize) -> Self {
        Self { counts: vec![vec![0; classes + 1]; classes + 1] }
    }

    /// Adds a picture: objects with their classes, and what was found.
    pub(super) fn add(&mut self, objects: &[([f32; 4], usize)], found: &[Detection]) {
        let background = self.counts.len() - 1;
        let mut is_found = vec![false; objects.len()];
        for detection in found.iter().filter(|d| d.score >= SCORE_THRESHOLD) {
            let Some(label) = usize::try_from(detection.label).ok().filter(|l| *l < background)
            else {
                continue;
            };
            let mut is_background = true;
            for ((bbox, class), is_found) in objects.iter().zip(&mut is_found) {
                if overlap(&detection.bbox, bbox, 0.0) >= OVERLAP {
                    is_background = false;
                    *is_found |= *class == label;
                    self.counts[*class][label] += 1;
                }
            }
            self.counts[background][label] += u64::from(is_background);
        }
        for ((_, class), _) in objects.iter().zip(is_found).filter(|(_, is_found)| !is_found) {
            self.counts[*class][background] += 1;
        }
    }

    /// `curves`: precision at each recall, and AP, of each class.
    pub(super) fn diagnosis(
        self,
        classes: &[String],
        curves: Vec<(Vec<f64>, Option<f64>)>,
        iou: f64,
    ) -> Diagnosis {
        let (precision, ap) = curves.into_iter().unzip();
        Diagnosis {
            classes: classes.to_vec(),
            precision,
            ap,
            iou,
            confusion: self.counts,
            score_threshold: SCORE_THRESHOLD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_mistakes_false_alarms_and_misses_have_their_places() {
        let square = |x: f32| [x, 0.0, x + 10.0, 10.0];
        let found = |x: f32, label: i64, score: f32| Detection { bbox: square(x), score, label };
        let mut confusion = Confusion::new(2);
        let objects = [(square(0.0), 0), (square(20.0), 0), (square(40.0), 1)];
        let detections = [
            found(0.0, 0, 0.9),
            found(20.0, 1, 0.8),
            found(70.0, 1, 0.7),
            found(40.0, 1, 0.1),
            found(40.0, 9, 0.9),
        ];
        confusion.add(&objects, &detections);
        // The second object is taken for the other class, so it is missed as well.
        assert_eq!(confusion.counts, [[1, 1, 1], [0, 0, 1], [0, 1, 0]]);
    }
}
