//! Models by the `type` of a config's `model`.

mod anchor_head;
mod build;
mod csp_darknet;
mod dense_test;
mod detector;
mod faster_rcnn;
mod fcos;
mod fcos_head;
mod first_stage;
mod fpn;
mod image_classifier;
mod resnet;
mod retina_net;
mod roi_head;
mod script_model;
mod tta;
mod yolox;
mod yolox_head;
mod yolox_pafpn;

pub use build::build_model;
pub(crate) use csp_darknet::CspDarknet;
pub(crate) use fpn::Fpn;
pub(crate) use resnet::ResNet;
pub(crate) use yolox_head::YoloxHead;
pub(crate) use yolox_pafpn::YoloxPafpn;
