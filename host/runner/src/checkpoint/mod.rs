//! Checkpoints on disk: a folder of safetensors and JSON that is either whole or not there.
//!
//! ```text
//! work_dirs/yolox/
//!   last_checkpoint            text: the path of the newest regular checkpoint
//!   epoch_3/
//!     model.safetensors        the weights that people use (averages, where there are any)
//!     ema.safetensors          other tensors by group, such as the raw weights behind the averages
//!     optimizer.safetensors    running tensors of the optimizer
//!     state.json               meta, messages, schedules, hooks' states and everything else that is not a tensor
//!     manifest.json            version, size and SHA-256 of each file; written last
//!     after_validation.json    state.json anew, once the validation that follows is done; may be missing
//! ```
//!
//! A folder, because PyTorch users can open its parts with `safetensors.torch.load_file("epoch_3/model.safetensors")`, the
//! weights can be copied alone, and the manifest is a commit point that works on object stores, which cannot rename. It is
//! called `epoch_3`, as users of MMEngine expect, without an ending.
//!
//! A checkpoint is written into a hidden sibling folder, flushed to the disk, and renamed. Whatever kills the process,
//! there is a whole checkpoint of that name, the one that was there before, or none; [`clean_leftovers`] removes the rest
//! at the next start. Knows nothing of loops or hooks.

mod background;
mod error;
mod files;
mod folder;
mod manifest;
mod model;
mod parts;
mod pth;
mod publish;
mod read;
mod supplement;
mod tensors;
mod write;

pub use background::{Job, Supplement, Writer, Written, undone};
pub use error::CheckpointError;
pub use folder::{clean_leftovers, find_last, remove, write_last};
pub use model::{LoadReport, load_into};
pub use parts::Checkpoint;
pub use publish::publish;
pub use read::{load, read_meta};
pub use write::save;
pub(crate) use write::state_json;

/// The group of the raw weights behind an average, which MMEngine calls `ema_state_dict`.
pub(crate) const EMA: &str = "ema";

#[cfg(test)]
mod tests;
