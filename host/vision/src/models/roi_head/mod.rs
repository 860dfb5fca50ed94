//! The second stage of Faster R-CNN: features of regions, their classes and boxes.
//!
//! Source: arXiv 1506.01497, 1612.03144; MMDetection `models/roi_heads/{standard_roi_head,bbox_heads/*,roi_extractors/*}.py`.

mod box_head;
mod extractor;
mod layers;
mod standard;

pub(crate) use standard::StandardRoiHead;
