//! What goes into a checkpoint and what comes back out of one, and when. How it lies on disk is `checkpoint`'s matter.
//!
//! ```text
//! hook ─ request ─► save: copies of all state ─► thread ─► disk      the loop goes on meanwhile
//!                                                  └─ between two batches: after_save_checkpoint
//! ```

mod ending;
mod gradients;
mod restore;
mod save;
mod start;

use snaphook_hooks::{HookFault, source_label};
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::{HookError, HookPoint};

pub(crate) use ending::{save_emergency, save_interrupted};
pub(crate) use save::{add_validation, settle, tell_finished};
pub use start::peek;
pub(crate) use start::{check, start};

use crate::RunError;
use crate::machine::Machine;

/// The tensors of the raw weights behind an average.
const EMA: &str = "ema";
/// The gradients that an optimizer has gathered and not used yet.
const GRADIENTS: &str = "gradients";

fn fault(
    hook: &dyn HookInstance,
    point: HookPoint,
    error: HookError,
    machine: &Machine,
) -> RunError {
    let source = source_label(hook.source());
    RunError::from(Box::new(HookFault {
        hook: format!("{} ({source})", hook.type_name()),
        point,
        epoch: machine.progress.epoch,
        iter: machine.progress.iter,
        error,
    }))
}
