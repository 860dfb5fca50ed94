//! ResNet and ResNeXt, as a backbone and as a single stage for regions. Know nothing of boxes.
//!
//! Source: arXiv 1512.03385, 1611.05431; MMDetection `models/backbones/{resnet,resnext}.py`, `models/layers/res_layer.py`,
//! `models/roi_heads/shared_heads/res_layer.py` (keywords, numbers, names).

mod block;
mod network;
mod shared_head;
mod stage;

pub(crate) use network::ResNet;
pub(crate) use shared_head::ResLayer;
