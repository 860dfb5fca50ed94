//! Scores of detections against annotations, as COCO and Pascal VOC define them.
//! Knows nothing of models.

mod accumulate;
mod accuracy;
mod coco;
mod collected;
mod diagnosis;
mod matching;
mod mean;
mod metric;
mod overlap;
mod recall;
mod settings;
mod summary;
mod table;
mod truth;
mod voc;

pub use accuracy::AccuracyEvaluator;
pub use coco::{CocoEvaluator, CocoResult, STAT_NAMES};
pub use diagnosis::Diagnosis;
pub use metric::{MetricEvaluator, MetricResult};
pub use voc::{VocEvaluator, VocResult};

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
