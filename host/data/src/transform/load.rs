//! `LoadImageFromFile`.
//! Knows nothing of file formats.

use std::sync::atomic::{AtomicBool, Ordering};

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::Orientation;
use crate::storage::check_storage;
use crate::{DataError, Sample};

/// Loads the picture that the record names.
#[derive(Debug)]
pub(super) struct LoadImageFromFile {
    ignore_empty: bool,
    orientation: Orientation,
    /// Whether a picture of another size than its annotations say has been told of.
    has_told_of_size: AtomicBool,
}

impl LoadImageFromFile {
    pub(super) fn new(declared: &declared::LoadImageFromFile) -> Result<Self, DataError> {
        check_storage(declared.backend_args.as_ref(), "LoadImageFromFile")?;
        let orientation = match declared.color_type.as_str() {
            "color_ignore_orientation" => Orientation::Ignored,
            _ => Orientation::Applied,
        };
        let ignore_empty = declared.ignore_empty;
        Ok(Self { ignore_empty, orientation, has_told_of_size: AtomicBool::new(false) })
    }

    /// Boxes of a picture that was turned or resized after it was annotated lie elsewhere.
    fn look_at_size(&self, sample: &Sample, [height, width]: [usize; 2]) {
        let record = &sample.record;
        // A picture without annotations has no size of its own word.
        let is_same = [record.width, record.height] == [width, height] || record.width == 0;
        if !is_same && !self.has_told_of_size.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "image {}: its annotations say {} x {}, it has {width} x {height} (its boxes are taken as they \
                 are; others may follow, this is told once)",
                record.img_path.display(),
                record.width,
                record.height,
            );
        }
    }
}

impl Transform for LoadImageFromFile {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        match around.images.read(&sample.meta.img_path, self.orientation) {
            Ok(image) => {
                self.look_at_size(&sample, image.shape());
                sample.meta.ori_shape = image.shape();
                sample.set_image(image);
                Ok(Some(sample))
            }
            Err(error) if self.ignore_empty && error.is_bad_image() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
