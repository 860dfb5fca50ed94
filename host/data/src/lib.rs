//! Pictures and boxes for training detectors: reading, changing, batching, scoring and drawing them.
//! Knows nothing of tensors: libtorch is not linked, so the command line may use this crate too.
//!
//! ```text
//! files ─► dataset ─► transform pipeline ─► loader (threads) ─► Batch ─► the model's crate
//!                                                                 detections ─► eval ─► AP table
//! ```
//!
//! ```
//! use snaphook_data::{shapes, build_dataset, Draw, SampleRng};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! shapes::ShapesOptions { train: 2, val: 1, size: 64, seed: 0 }.draw_into(folder.path())?;
//! let dataset = build_dataset(&serde_json::json!({
//!     "type": "CocoDataset",
//!     "data_root": folder.path(),
//!     "ann_file": "annotations/train.json",
//!     "data_prefix": {"img": "train/"},
//!     "metainfo": {"classes": shapes::CLASSES},
//!     "pipeline": [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}],
//! }))?;
//! let sample = dataset.sample(0, &mut Draw::strict(SampleRng::new(0)))?.expect("nothing is dropped");
//! assert_eq!(sample.image.shape(), [64, 64]);
//! assert_eq!(sample.boxes.len(), sample.labels.len());
//! # Ok(())
//! # }
//! ```

mod cache;
mod class_aware;
mod dataset;
mod error;
pub mod eval;
pub mod image;
mod loader;
mod rng;
mod sample;
mod sampler;
pub mod shapes;
mod stage_time;
mod storage;
mod transform;

pub use cache::ImageCache;
pub use class_aware::ClassAwareSampler;
pub use dataset::{
    AnnotatedImages, BadImages, ClassBalancedDataset, ConcatDataset, Dataset, DatasetMeta, Draw,
    MultiImageMixDataset, RepeatDataset, build_dataset, default_classes, draw_usable, find_images,
    fingerprint, image_files,
};
pub use error::DataError;
pub use eval::{
    CocoEvaluator, CocoResult, Detection, Diagnosis, MetricEvaluator, MetricResult, VocEvaluator,
    VocResult,
};
pub use image::Image;
pub use loader::{Batch, EpochBatches, Loader, LoaderConfig, OnBadImage, Rank, Sharing};
pub use rng::SampleRng;
pub use sample::{ImageId, ImageRecord, Instance, Sample, SampleMeta};
pub use sampler::{DefaultSampler, InfiniteSampler};
pub use transform::{Mixing, Pipeline, Surroundings, Transform, build_transform};
