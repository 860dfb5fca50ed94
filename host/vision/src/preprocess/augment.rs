//! Changes of whole batches in training: `batch_augments`.
//!
//! Source: MMDetection `models/data_preprocessors/data_preprocessor.py`, `BatchFixedSizePad` and `BatchSyncRandomResize`.

use serde_json::Value as Json;
use snaphook_components::vision::BatchFixedSizePad;
use snaphook_components::{Catalog, ComponentError, Role, read, type_name};
use snaphook_runner::StepContext;

use super::{BatchSyncRandomResize, Prepared};
use crate::sim_ota::Targets;

/// One entry of `batch_augments`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BatchAugment {
    /// Another size every few iterations.
    RandomResize(BatchSyncRandomResize),
    /// Margins up to a size that is the same for all batches.
    FixedSizePad {
        /// Height and width.
        size: (i64, i64),
        /// Value of the margins.
        value: f64,
    },
}

impl BatchAugment {
    pub(super) fn read(value: &Json, path: &str) -> Result<BatchAugment, ComponentError> {
        match type_name(Role::BatchAugment, value, path)? {
            "BatchSyncRandomResize" => {
                BatchSyncRandomResize::read(value, path).map(BatchAugment::RandomResize)
            }
            "BatchFixedSizePad" => {
                let own: BatchFixedSizePad = read(value, path)?;
                let size = (own.size.0 as i64, own.size.1 as i64);
                Ok(BatchAugment::FixedSizePad { size, value: own.img_pad_value })
            }
            _ => Err(Catalog::built_in().unknown(Role::BatchAugment, value, path).into()),
        }
    }

    pub(super) fn apply(
        &self,
        prepared: &mut Prepared,
        targets: &mut [Targets],
        context: &StepContext,
    ) {
        let (height, width) = (prepared.images.size()[2], prepared.images.size()[3]);
        match self {
            BatchAugment::RandomResize(resize) => {
                if let Some(size) = resize.size(context, height, width) {
                    scale(prepared, targets, size);
                }
            }
            BatchAugment::FixedSizePad { size: (least_height, least_width), value } => {
                let (right, below) = ((least_width - width).max(0), (least_height - height).max(0));
                if right + below > 0 {
                    let sides = [0, right, 0, below];
                    prepared.images = prepared.images.pad(sides, "constant", *value);
                    let size = [height + below, width + right].map(|side| side as usize);
                    prepared.shapes.iter_mut().for_each(|shape| shape.padded = size);
                }
            }
        }
    }
}

fn scale(prepared: &mut Prepared, targets: &mut [Targets], (new_height, new_width): (i64, i64)) {
    let (height, width) = (prepared.images.size()[2], prepared.images.size()[3]);
    prepared.images =
        prepared.images.upsample_bilinear2d([new_height, new_width], false, None, None);
    let (exact_x, exact_y) = (new_width as f64 / width as f64, new_height as f64 / height as f64);
    let (x, y) = (exact_x as f32, exact_y as f32);
    for [x1, y1, x2, y2] in targets.iter_mut().flat_map(|target| &mut target.boxes) {
        (*x1, *y1, *x2, *y2) = (*x1 * x, *y1 * y, *x2 * x, *y2 * y);
    }
    let sides = |[height, width]: [usize; 2]| {
        [(height as f64 * exact_y) as usize, (width as f64 * exact_x) as usize]
    };
    for shape in &mut prepared.shapes {
        (shape.size, shape.padded) = (sides(shape.size), sides(shape.padded));
    }
}
