//! What the whole-run tests are made of: the built programs, plugins of all kinds, a folder with a tiny
//! data set and config, and runs with a deadline. Knows nothing of what is tested. Links no libtorch.
//!
//! ```text
//! programs()          target/debug/snaphook, snaphook-trainer and plugins, built once
//! fixture("mark")     a plugin crate of `fixtures/plugins`, built outside of the workspace, once
//! Workspace           a temporary folder: data/, tiny.py, plugins/, work/
//!   └─ snaphook([…])  a run with a deadline ─► Outcome: exit code, stdout, stderr
//! Checkpoint, Scalars what a run left behind
//! ```
#![allow(clippy::unwrap_used)] // a failure here is a failed test, and the line says which

mod fixtures;
mod outcome;
mod process;
mod programs;
mod ranks;
mod records;
mod workspace;

pub use fixtures::fixture;
pub use outcome::Outcome;
pub use process::{Running, start};
pub use programs::{Programs, programs, repository};
pub use ranks::claimed_port;
pub use records::{checkpoints, is_whole, scalars, trace, weights};
pub use workspace::Workspace;
