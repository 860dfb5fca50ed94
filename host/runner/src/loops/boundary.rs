//! What happens between two batches, where the state is whole: checkpoints that have reached the disk are told to the
//! hooks, and a request to end the process is honoured.

use crate::RunError;
use crate::run::Run;
use crate::saving;

/// Between two batches, and before the first one.
///
/// Errors: [`RunError::Interrupted`] when the process was asked to end; a checkpoint that could not be written.
pub(super) fn check(run: &mut Run) -> Result<(), RunError> {
    saving::tell_finished(run)?;
    match run.machine.interrupt.signal() {
        Some(signal) => Err(RunError::Interrupted { signal }),
        None => Ok(()),
    }
}
