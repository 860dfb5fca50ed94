//! Data sets: lists of annotated pictures with a pipeline, and wrappers around them.
//! Knows nothing of threads, batches and epochs.
//!
//! A data set never changes. Another pipeline, or skipped transforms, make a new one that shares the
//! annotations and the cache, so threads that still work on the old one are not disturbed.

mod build;
mod class_balanced;
mod class_folders;
mod coco;
mod coco_file;
mod draw;
mod fingerprint;
mod image_files;
mod leaf;
mod meta;
mod mix;
mod voc;
mod wrappers;

use std::sync::Arc;

use serde_json::Value;

pub use build::{build_dataset, default_classes};
pub use class_balanced::ClassBalancedDataset;
pub(crate) use coco_file::CocoFile;
pub use draw::{BadImages, Draw, draw_usable};
pub use fingerprint::fingerprint;
pub use image_files::{find_images, image_files};
pub use leaf::AnnotatedImages;
pub use meta::DatasetMeta;
pub use mix::MultiImageMixDataset;
pub use wrappers::{ConcatDataset, RepeatDataset};

use crate::{DataError, ImageRecord, Sample};

/// Something that samples are drawn from.
pub trait Dataset: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// True if there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The annotations of a sample; `index` is below [`Dataset::len`].
    fn record(&self, index: usize) -> &Arc<ImageRecord>;

    /// Classes and colours.
    fn meta(&self) -> &DatasetMeta;

    /// True for validation and test: no sample is replaced by another.
    fn is_test_mode(&self) -> bool;

    /// Carries one sample through the pipeline; `None` when the pipeline dropped it.
    ///
    /// Errors: a picture that cannot be read, a step that fails.
    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError>;

    /// The same data set with transforms of these types left out (`[]`: none), as
    /// `update_skip_type_keys` does; through wrappers, in the outermost pipeline.
    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset>;

    /// The same data set with another pipeline, through wrappers, in place of the outermost one.
    ///
    /// Errors: an unknown transform or keyword.
    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError>;

    /// The same data set with pictures of another size, (width, height), as `update_dynamic_scale` made them: through
    /// wrappers, in the outermost pipeline of each part, for those of its transforms that follow a size.
    ///
    /// Errors: a transform that refuses the size.
    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError>;

    /// The outermost pipeline of each part: the configuration entries of the transforms that are in force.
    fn pipelines(&self) -> Vec<Vec<Value>>;
}
