//! What goes into a checkpoint and what comes back out of one, and when. How it lies on disk is `checkpoint`'s matter.
//!
//! ```text
//! hook ─ request ─► save: copies of all state ─► thread ─► disk      the loop goes on meanwhile
//!                                                  └─ between two batches: after_save_checkpoint
//! ```

mod edits;
mod ending;
mod gradients;
mod place;
mod restore;
mod save;
mod start;

pub(crate) use ending::{save_emergency, save_interrupted};
pub(crate) use save::{add_validation, settle, tell_finished};
pub use start::peek;
pub(crate) use start::{check, start};

/// The gradients that an optimizer has gathered and not used yet.
const GRADIENTS: &str = "gradients";
