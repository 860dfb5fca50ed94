//! What data is read and scored with, a kind per file. A new one is a file, and its components in
//! `declared`.

mod datasets;
mod loaders;
mod metrics;
mod transforms;

pub use datasets::{
    AnnotationFields, CocoDataset, ConcatDataset, DataPrefix, FilterCfg, Metainfo,
    MultiImageMixDataset, RepeatDataset, VocDataset,
};
pub use loaders::{
    AspectRatioBatchSampler, Dataloader, DefaultSampler, InfiniteSampler, PseudoCollate,
};
pub use metrics::{COCO_METRIC_ITEMS, CocoMetric};
pub use transforms::{
    FileClient, FilterAnnotations, LoadAnnotations, LoadImageFromFile, MixUp, Mosaic,
    PackDetInputs, Pad, PadVal, PadValue, RandomAffine, RandomFlip, Resize, YoloxHsvRandomAug,
};

use crate::Declared;

/// All of them.
pub(crate) fn declared() -> Vec<Declared> {
    let kinds =
        [datasets::declared(), loaders::declared(), transforms::declared(), metrics::declared()];
    kinds.into_iter().flatten().collect()
}
