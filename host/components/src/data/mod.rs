//! What data is read and scored with, a kind per file. A new one is a file, and its components in
//! `declared`.

mod datasets;
mod loaders;
mod metrics;
mod transforms;

pub use datasets::{
    AnnotationFields, ClassBalancedDataset, CocoDataset, ConcatDataset, DataPrefix, FilterCfg,
    Metainfo, MultiImageMixDataset, RepeatDataset, VocDataset, XmlDataset,
};
pub use loaders::{
    AspectRatioBatchSampler, ClassAwareSampler, Dataloader, DefaultSampler, InfiniteSampler,
    PseudoCollate,
};
pub use metrics::{COCO_METRIC_ITEMS, CocoMetric, VocMetric};
pub use transforms::{
    CachedMixUp, CachedMosaic, CutOut, Expand, FileClient, FilterAnnotations, FixScaleResize,
    LoadAnnotations, LoadImageFromFile, MinIoURandomCrop, MixUp, Mosaic, PackDetInputs, Pad,
    PadVal, PadValue, PairOrPairs, PhotoMetricDistortion, Pipeline, Pipelines, RandomAffine,
    RandomApply, RandomChoice, RandomChoiceResize, RandomCrop, RandomErasing, RandomFlip,
    RandomGrayscale, RandomResize, RandomShift, Resize, SizeOrSizes, YoloxHsvRandomAug,
};

use crate::Declared;

/// All of them.
pub(crate) fn declared() -> Vec<Declared> {
    let kinds =
        [datasets::declared(), loaders::declared(), transforms::declared(), metrics::declared()];
    kinds.into_iter().flatten().collect()
}
