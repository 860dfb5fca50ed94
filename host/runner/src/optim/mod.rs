//! The optimizer: parameter groups, clipping, accumulation, and the updates of SGD, Adam and AdamW.
//!
//! Each group's parameters, gradients and running averages lie in a few long tensors, and the model's own tensors become
//! views of them, so that an update costs a handful of operations, however many tensors the model has.
//! Knows nothing of losses, loops or files.

mod algorithm;
mod bucket;
mod clip;
mod error;
mod group;
mod paramwise;
mod saved;
mod wrapper;

pub use clip::ClipGrad;
pub use error::OptimError;
pub use group::Group;
pub use saved::{LoadedOptimizer, OptimState};
pub use wrapper::OptimWrapper;
