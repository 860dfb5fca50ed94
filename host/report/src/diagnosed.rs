//! `vis_data/evaluation.json` of a run: what goes wrong where in its last evaluation, for each of its sets.
//! Knows nothing of how it was counted.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// What goes wrong where in one set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnosed {
    /// The set's name among several, and the metric's among several; empty for the only one.
    pub name: String,
    /// Name of each class.
    pub classes: Vec<String>,
    /// For each class, precision at recalls 0, 0.01, ... 1; empty where nothing is to be found.
    pub precision: Vec<Vec<f64>>,
    /// AP of each class, as the metric counts it; empty in records of before.
    pub ap: Vec<Option<f64>>,
    /// Overlap from which on a box counted as found.
    pub iou: f64,
    /// Boxes by true class (rows) and found class (columns); the last ones are background and "not found".
    pub confusion: Vec<Vec<u64>>,
    /// Boxes with lower scores are not in `confusion`.
    pub score_threshold: f32,
}

/// What the file says; nothing of one that is absent or of another version.
pub(crate) fn read(folder: &Path) -> Vec<Diagnosed> {
    let text = std::fs::read_to_string(folder.join(EVALUATION_FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
