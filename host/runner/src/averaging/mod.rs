//! Averages of a model's weights over training: EMA in its kinds, and SWA.
//!
//! Knows nothing of when to update or of files.
//!
//! Source: MMEngine 0.10.7 `model/averaged_model.py`, MMDetection 3.3.0 `models/layers/ema.py`.

mod averager;
mod places;
mod strategy;

pub use averager::{Averager, AveragingError, NamedTensors};
