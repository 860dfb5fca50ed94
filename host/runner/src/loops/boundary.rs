//! What happens between two batches, where the state is whole: checkpoints that have reached the disk are told to the
//! hooks, and a request to end the process is honoured.

use crate::RunError;
use crate::ranks::{Occasion, Wishes};
use crate::run::Run;
use crate::saving;

/// Between two training iterations, and before the first one: all ranks go on, or all end. `over` is how the last
/// iteration ended on this one.
///
/// Errors: `over`'s; [`RunError::Interrupted`] when a process was asked to end; a checkpoint that could not be written; a
/// failure of another rank.
pub(super) fn check(run: &mut Run, over: Result<(), RunError>) -> Result<(), RunError> {
    let over = over.and_then(|()| saving::tell_finished(run));
    let signal = run.machine.interrupt.signal();
    agree(run, Occasion::Iteration, over, signal)
}

/// At the end of an epoch, where hooks may have failed or asked for something, and the next batch is not far.
///
/// Errors: `over`'s; a failure of another rank.
pub(super) fn settle(run: &mut Run, over: Result<(), RunError>) -> Result<(), RunError> {
    agree(run, Occasion::Epoch, over, None)
}

fn agree(
    run: &mut Run,
    occasion: Occasion,
    over: Result<(), RunError>,
    signal: Option<usize>,
) -> Result<(), RunError> {
    let machine = &mut run.machine;
    let own = Wishes { signal, stop: machine.stop.clone(), validation: machine.wants_validation };
    let agreed = machine.ranks.agree(occasion, over, own)?;
    machine.stop = agreed.stop;
    machine.wants_validation = agreed.validation;
    Ok(())
}

/// Between two batches of an evaluation, where ranks do not meet: they have different numbers of them.
///
/// Errors: as [`check`], of this rank alone.
pub(super) fn check_alone(run: &mut Run) -> Result<(), RunError> {
    saving::tell_finished(run)?;
    match run.machine.interrupt.signal() {
        Some(signal) => Err(RunError::Interrupted { signal }),
        None => Ok(()),
    }
}
