//! `LoadImageFromFile`.
//! Knows nothing of file formats.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::storage::check_storage;
use crate::{DataError, Sample};

/// Loads the picture that the record names.
#[derive(Debug)]
pub(super) struct LoadImageFromFile {
    ignore_empty: bool,
}

impl LoadImageFromFile {
    pub(super) fn new(declared: &declared::LoadImageFromFile) -> Result<Self, DataError> {
        check_storage(declared.backend_args.as_ref(), "LoadImageFromFile")?;
        Ok(Self { ignore_empty: declared.ignore_empty })
    }
}

impl Transform for LoadImageFromFile {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        match around.images.read(&sample.meta.img_path) {
            Ok(image) => {
                sample.meta.ori_shape = image.shape();
                sample.set_image(image);
                Ok(Some(sample))
            }
            Err(error) if self.ignore_empty && error.is_bad_image() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
