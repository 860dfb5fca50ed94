//! What models are made of, a family per file. A new one is a file, and its components in `declared`.

mod anchors;
mod assigners;
mod box_samplers;
mod classifier;
mod fcos;
mod fpn;
mod initialisation;
mod layers;
mod losses;
mod preprocessing;
mod resnet;
mod retina;
mod roi_heads;
mod script;
mod tta;
mod two_stage;
mod yolox;

pub use anchors::{AnchorGenerator, DeltaXywhBboxCoder};
pub use assigners::{BboxOverlaps2D, MaxIouAssigner, SimOtaAssigner};
pub use box_samplers::{OhemSampler, PseudoSampler, RandomSampler};
pub use classifier::{
    ClsDataPreprocessor, GlobalAveragePooling, ImageClassifier, LinearClsHead, MOST_CLASSES_TOLD,
};
pub use fcos::{DistancePointBboxCoder, Fcos, FcosHead, GroupNorm};
pub use fpn::{ExtraConvs, Fpn, FpnUpsampleCfg};
pub use initialisation::{Constant, InitOverride, Kaiming, Normal, Pretrained, Xavier};
pub use layers::{BatchNorm, Conv2d, LeakyRelu, Nms, Relu, SoftNms, Swish, UpsampleCfg};
pub use losses::{
    BoundedIouLoss, CiouLoss, CrossEntropyLoss, DiouLoss, FocalLoss, GiouLoss, IouLoss, IouMode,
    L1Loss, Reduction, SmoothL1Loss,
};
pub use preprocessing::{BatchFixedSizePad, BatchSyncRandomResize, DetDataPreprocessor};
pub use resnet::{ResLayer, ResNet};
pub use retina::{DenseTestCfg, RetinaHead, RetinaNet};
pub use roi_heads::{
    BoxHead, BoxHeadLayers, ConvFcBoxHead, Linear, RoiAlign, Shared2FcBoxHead,
    Shared4Conv1FcBoxHead, SingleRoiExtractor, StandardRoiHead,
};
pub use script::ScriptModel;
pub use tta::{DetTtaModel, TtaCfg};
pub use two_stage::{
    AnchorTrainCfg, FasterRcnn, FasterRcnnTestCfg, FasterRcnnTrainCfg, RcnnTestCfg, RcnnTrainCfg,
    RpnHead, RpnTestCfg,
};
pub use yolox::{
    ConvStyle, CspDarknet, StageNumbers, Yolox, YoloxHead, YoloxPafpn, YoloxTestCfg, YoloxTrainCfg,
};

use crate::Declared;

/// All of them.
pub(crate) fn declared() -> Vec<Declared> {
    let families = [
        yolox::declared(),
        two_stage::declared(),
        retina::declared(),
        fcos::declared(),
        classifier::declared(),
        script::declared(),
        tta::declared(),
        resnet::declared(),
        fpn::declared(),
        roi_heads::declared(),
        anchors::declared(),
        preprocessing::declared(),
        losses::declared(),
        assigners::declared(),
        box_samplers::declared(),
        layers::declared(),
        initialisation::declared(),
    ];
    families.into_iter().flatten().collect()
}
