//! The head of FCOS: classes, distances to the sides of a box and the nearness of its middle, at each place of each map.
//!
//! Source: arXiv 1904.01355; MMDetection `models/dense_heads/{fcos_head,anchor_free_head}.py`.

mod head;
mod loss;
mod places;
mod predict;
mod targets;
mod tower;

pub(crate) use head::FcosHead;
