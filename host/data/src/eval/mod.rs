//! Scores of detections against annotations, as COCO defines them.
//! Knows nothing of models.

mod accumulate;
mod coco;
mod matching;
mod table;
mod truth;

pub use coco::{CocoEvaluator, CocoResult, STAT_NAMES};

use serde::{Deserialize, Serialize};

/// One found object.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Left, top, right, bottom in pixels of the picture as it is stored.
    pub bbox: [f32; 4],
    /// Certainty; more is better.
    pub score: f32,
    /// Index of the class.
    pub label: i64,
}
