//! What data is read and scored with, a kind per file. A new one is a file, and its components in
//! `declared`.

mod class_folders;
mod datasets;
mod loaders;
mod metrics;
mod transforms;

pub use class_folders::{Accuracy, ClassPrefix, CustomDataset, ImageNet};
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
    CachedMixUp, CachedMosaic, CenterCrop, CutOut, Expand, FileClient, FilterAnnotations,
    FixScaleResize, LoadAnnotations, LoadImageFromFile, MinIoURandomCrop, MixUp, Mosaic,
    PackDetInputs, PackInputs, Pad, PadVal, PadValue, PairOrPairs, PhotoMetricDistortion, Pipeline,
    Pipelines, RandomAffine, RandomApply, RandomChoice, RandomChoiceResize, RandomCrop,
    RandomErasing, RandomFlip, RandomGrayscale, RandomResize, RandomResizedCrop, RandomShift,
    Resize, ResizeEdge, SizeOrSizes, TestTimeAug, YoloxHsvRandomAug,
};

use crate::Declared;

/// All of them.
pub(crate) fn declared() -> Vec<Declared> {
    let kinds = [
        datasets::declared(),
        class_folders::declared(),
        loaders::declared(),
        transforms::declared(),
        metrics::declared(),
    ];
    kinds.into_iter().flatten().collect()
}
