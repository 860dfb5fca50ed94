//! The checkpoint of a run that ends before its time: because it was asked to, or because something failed.

use std::path::PathBuf;

use tch::no_grad;

use super::save::{save, settle};
use crate::RunError;
use crate::machine::{Machine, SaveRequest};
use crate::run::Run;

/// Saves the state of an interrupted run, unless this very moment is saved already, and waits until it is on the disk;
/// `None` for a run that has nothing to save yet.
///
/// Errors: the checkpoint could not be written; a hook that fails while it is asked for its state.
pub(crate) fn save_interrupted(run: &mut Run) -> Result<Option<PathBuf>, RunError> {
    if !run.machine.is_training_begun || run.machine.fast.is_some() {
        return Ok(None);
    }
    settle(run)?;
    if let Some(path) = saved_now(&run.machine) {
        return Ok(Some(path));
    }
    write(run, "interrupted", false).map(Some)
}

/// Saves the state of a run that fails, where it is that of a finished iteration and every weight is a number; `None` where
/// it is not, or may not be, or where this moment is saved already.
///
/// Errors: as [`save_interrupted`].
pub(crate) fn save_emergency(run: &mut Run) -> Result<Option<PathBuf>, RunError> {
    let machine = &run.machine;
    let may_save = machine.is_training_begun && machine.is_whole && machine.fast.is_none();
    if !may_save || machine.progress.iter == 0 || machine.ranks.is_unsound() {
        return Ok(None);
    }
    settle(run)?;
    if saved_now(&run.machine).is_some() || !has_finite_weights(&run.machine) {
        return Ok(None);
    }
    write(run, "emergency", true).map(Some)
}

fn write(run: &mut Run, why: &str, is_emergency: bool) -> Result<PathBuf, RunError> {
    let name = format!("{why}_iter_{}", run.machine.progress.iter);
    let path = run.machine.home().join(&name);
    let request =
        SaveRequest { name, last: true, interim: true, is_emergency, ..SaveRequest::default() };
    save(&mut run.dispatcher, &mut run.machine, &request)?;
    settle(run)?;
    Ok(path)
}

/// The checkpoint that holds exactly this moment.
fn saved_now(machine: &Machine) -> Option<PathBuf> {
    let (saved, progress) = (machine.saved.as_ref()?, machine.progress);
    let is_now = (saved.epoch, saved.iter) == (progress.epoch, progress.iter)
        && saved.is_validation_pending == machine.is_validation_pending;
    is_now.then(|| saved.path.clone())
}

fn has_finite_weights(machine: &Machine) -> bool {
    no_grad(|| {
        machine
            .task
            .model
            .state()
            .entries()
            .iter()
            .filter(|entry| entry.tensor.is_floating_point())
            .all(|entry| entry.tensor.isfinite().all().int64_value(&[]) != 0)
    })
}
