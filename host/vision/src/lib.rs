//! Detection: models, losses, predictions, and the adapters between pictures and the runner.
//!
//! What MMDetection is to MMEngine, this crate is to `snaphook-runner`. It knows nothing of loops, hooks and files
//! of configs; pictures and annotations are read by `snaphook-data`.
//!
//! ```text
//! Batch ─► preprocess ─► backbone ─► neck ─► head ─┬─► sim_ota ─► losses ─► runner
//!                                                  └─► nms ─► Predictions ─► metric, painter
//! ```
//!
//! ```
//! use serde_json::json;
//!
//! # fn main() -> Result<(), snaphook_vision::BuildError> {
//! let config = json!({
//!     "type": "YOLOX",
//!     "backbone": {"type": "CSPDarknet", "deepen_factor": 0.33, "widen_factor": 0.125},
//!     "neck": {"type": "YOLOXPAFPN", "in_channels": [32, 64, 128], "out_channels": 32},
//!     "bbox_head": {"type": "YOLOXHead", "num_classes": 3, "in_channels": 32, "feat_channels": 32},
//! });
//! let model = snaphook_vision::build_model(&config, tch::Device::Cpu)?;
//! assert!(model.state().get("backbone.stage1.0.conv.weight").is_some());
//! # Ok(())
//! # }
//! ```

mod anchors;
mod box_coder;
mod box_sampler;
mod boxes;
mod detection;
mod error;
#[cfg(test)]
mod golden;
mod init_cfg;
mod losses;
mod max_iou;
mod models;
mod nms;
mod nms_by_tensors;
mod nn;
mod preprocess;
mod random;
mod roi_align;
mod side_by_side;
mod sim_ota;
mod task;

pub use detection::{PicturePredictions, Predictions};
pub use error::{BuildError, ModelError};
pub use models::build_model;
pub use task::{
    DetectionData, DetectionMetrics, DetectionPainter, TaskOptions, build_task, with_preprocessor,
};
