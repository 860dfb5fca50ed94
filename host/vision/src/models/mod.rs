//! Models by the `type` of a config's `model`.

mod build;
mod csp_darknet;
mod yolox;
mod yolox_head;
mod yolox_pafpn;

pub use build::build_model;
pub(crate) use csp_darknet::CspDarknet;
pub(crate) use yolox::Yolox;
pub(crate) use yolox_head::{HeadOutputs, YoloxHead};
pub(crate) use yolox_pafpn::YoloxPafpn;
