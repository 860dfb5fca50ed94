//! The head of YOLOX: classes, boxes and objectness per prior; its losses; its predictions.
//!
//! Source: arXiv 2107.08430; MMDetection `models/dense_heads/yolox_head.py` (keywords, names, formulas).

mod build;
mod forward;
mod loss;
mod predict;
mod priors;
mod targets;

pub(crate) use build::YoloxHead;
