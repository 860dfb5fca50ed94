//! From pictures as they were loaded to the tensor that a model takes.

mod augment;
mod det_data_preprocessor;
mod random_resize;

use augment::BatchAugment;
pub(crate) use det_data_preprocessor::{DetDataPreprocessor, PictureShape, Pixels, Prepared};
use random_resize::BatchSyncRandomResize;
