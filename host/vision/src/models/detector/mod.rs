//! A detector: preprocessing, backbone, neck and a head, whatever they are, in one model.
//!
//! Source: MMDetection `models/detectors/{base,single_stage,two_stage}.py`.

mod head;
mod model;
mod parts;

pub(crate) use head::{DetectionHead, HeadInput};
pub(crate) use model::{
    Detector, Parts, pictures_of, pixels, scales, targets_of, validation_targets_of,
};

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
