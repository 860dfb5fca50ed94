//! The optimizer: parameter groups, clipping, accumulation, mixed precision, and the updates.
//!
//! Each group's parameters, gradients and running averages lie in a few long tensors, and the model's own tensors become
//! views of them, so that an update costs a handful of operations, however many tensors the model has.
//! Knows nothing of losses, loops or files.

mod amp;
mod bucket;
mod clip;
mod error;
mod group;
mod layout;
mod param_groups;
mod saved;
mod update;
mod wrapper;

pub use error::OptimError;
pub use group::Group;
pub use saved::{LoadedOptimizer, OptimState};
pub use wrapper::OptimWrapper;

#[cfg(test)]
mod tests;
