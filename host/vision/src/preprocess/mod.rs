//! From pictures as they were loaded to the tensor that a model takes.

mod det_data_preprocessor;
mod random_resize;

pub(crate) use det_data_preprocessor::{DetDataPreprocessor, Pixels};
use random_resize::BatchSyncRandomResize;
