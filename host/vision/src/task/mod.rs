//! Detection as a field of work for the runner: data, metric, pictures, and all of it from a config.

mod build;
mod data;
mod metric;
mod painter;

pub use build::{TaskOptions, build_task, with_preprocessor};
pub use data::DetectionData;
pub use metric::DetectionMetrics;
pub use painter::DetectionPainter;
