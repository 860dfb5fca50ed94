//! Losses by the `type` of a `loss_*` dict. Know nothing of heads.

mod binary_cross_entropy;
mod box_loss;
mod class_loss;
mod iou;
mod l1;
mod reduction;

pub(crate) use binary_cross_entropy::BinaryCrossEntropy;
pub(crate) use box_loss::BoxLoss;
pub(crate) use class_loss::{ClassLoss, ClassOutputs, LabelledRows};
pub(crate) use iou::IouLoss;
pub(crate) use l1::L1Loss;
use reduction::Reduced;
