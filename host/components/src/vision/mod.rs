//! What models are made of, a family per file. A new one is a file, and its components in `declared`.

mod assigners;
mod layers;
mod losses;
mod preprocessing;
mod yolox;

pub use assigners::{BboxOverlaps2D, SimOtaAssigner};
pub use layers::{BatchNorm, Conv2d, Kaiming, LeakyRelu, Nms, Relu, Swish, UpsampleCfg};
pub use losses::{CrossEntropyLoss, IouLoss, IouMode, L1Loss, Reduction};
pub use preprocessing::{BatchSyncRandomResize, DetDataPreprocessor};
pub use yolox::{
    ConvStyle, CspDarknet, StageNumbers, Yolox, YoloxHead, YoloxPafpn, YoloxTestCfg, YoloxTrainCfg,
};

use crate::Declared;

/// All of them.
pub(crate) fn declared() -> Vec<Declared> {
    let families = [
        yolox::declared(),
        preprocessing::declared(),
        losses::declared(),
        assigners::declared(),
        layers::declared(),
    ];
    families.into_iter().flatten().collect()
}
