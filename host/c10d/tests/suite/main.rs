//! The engine between processes of this crate, and with a process of PyTorch.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod collectives;
mod failures;
mod gpus;
mod gradients;
mod norm;
mod processes;
mod python;
mod stores;
