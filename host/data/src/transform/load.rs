//! `LoadImageFromFile`.
//! Knows nothing of file formats.

use serde_json::json;

use super::{Surroundings, Transform};
use crate::kwargs::Kwargs;
use crate::{DataError, Sample};

/// Loads the picture that the record names.
#[derive(Debug)]
pub(super) struct LoadImageFromFile {
    ignore_empty: bool,
}

impl LoadImageFromFile {
    pub(super) fn from_kwargs(kwargs: &mut Kwargs) -> Result<Self, DataError> {
        kwargs.only("to_float32", &[json!(false)])?;
        kwargs.only("color_type", &[json!("color")])?;
        kwargs.ignore(&["imdecode_backend"]);
        kwargs.only("file_client_args", &[])?;
        kwargs.only("backend_args", &[json!({"backend": "local"})])?;
        Ok(Self { ignore_empty: kwargs.get("ignore_empty", false)? })
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
