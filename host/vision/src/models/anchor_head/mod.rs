//! Heads whose predictions belong to anchors: RPN and RetinaNet.
//!
//! Source: arXiv 1506.01497, 1708.02002; MMDetection `models/dense_heads/{anchor_head,rpn_head,retina_head}.py`.

mod core;
mod maps;
mod retina;
mod rpn;
mod targets;

pub(crate) use retina::RetinaHead;
pub(crate) use rpn::{Proposals, RpnHead};
