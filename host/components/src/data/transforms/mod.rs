//! The steps of a pipeline. A new one is a struct in the file that fits, and a line in its list.

mod geometry;
mod loading;
mod mixing;

pub use geometry::{Pad, PadVal, PadValue, RandomFlip, Resize};
pub use loading::{
    FileClient, FilterAnnotations, LoadAnnotations, LoadImageFromFile, PackDetInputs,
};
pub use mixing::{MixUp, Mosaic, RandomAffine, YoloxHsvRandomAug};

use crate::Declared;

pub(super) fn declared() -> Vec<Declared> {
    [loading::declared(), mixing::declared(), geometry::declared()].into_iter().flatten().collect()
}
