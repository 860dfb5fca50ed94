//! The steps of a pipeline. A new one is a struct in the file that fits, and a line in its list.

mod choosing;
mod classifying;
mod cropping;
mod geometry;
mod loading;
mod mixing;
mod painting;

pub use choosing::{
    Pipeline, Pipelines, RandomApply, RandomChoice, RandomChoiceResize, RandomResize, SizeOrSizes,
    TestTimeAug,
};
pub use classifying::{CenterCrop, PackInputs, RandomResizedCrop, ResizeEdge};
pub use cropping::{Expand, MinIoURandomCrop, RandomCrop, RandomShift};
pub use geometry::{FixScaleResize, Pad, PadVal, PadValue, RandomFlip, Resize};
pub use loading::{
    FileClient, FilterAnnotations, LoadAnnotations, LoadImageFromFile, PackDetInputs,
};
pub use mixing::{CachedMixUp, CachedMosaic, MixUp, Mosaic, RandomAffine};
pub use painting::{
    CutOut, PairOrPairs, PhotoMetricDistortion, RandomErasing, RandomGrayscale, YoloxHsvRandomAug,
};

use crate::Declared;

pub(super) fn declared() -> Vec<Declared> {
    let kinds = [
        loading::declared(),
        mixing::declared(),
        geometry::declared(),
        cropping::declared(),
        painting::declared(),
        choosing::declared(),
        classifying::declared(),
    ];
    kinds.into_iter().flatten().collect()
}
