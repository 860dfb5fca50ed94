//! The epoch-based training loop.
//!
//! Source: `mmengine/runner/loops.py`, `EpochBasedTrainLoop`.

use snaphook_plugin_api::HookPoint;

use super::{boundary, plan_validation, step, stop_if_fast, validate_if_due};
use crate::RunError;
use crate::run::Run;
use crate::settings::TrainSettings;

/// All epochs, each with the validation that follows it.
pub(super) fn run(run: &mut Run, settings: &TrainSettings) -> Result<(), RunError> {
    validate_if_due(run)?;
    while run.machine.progress.epoch < settings.last() && run.machine.stop.is_none() {
        if !epoch(run, settings)? {
            break;
        }
        validate_if_due(run)?;
        stop_if_fast(run, settings, run.machine.progress.epoch);
    }
    Ok(())
}

/// Trains an epoch; false when a stop request ended it before its last batch. Such an epoch does not count,
/// so that no checkpoint claims it, and `after_train_epoch` is not called.
fn epoch(run: &mut Run, settings: &TrainSettings) -> Result<bool, RunError> {
    run.call(HookPoint::BeforeTrainEpoch)?;
    run.machine.task.model.set_training(true);
    let progress = run.machine.progress;
    // A run resumed in mid-epoch goes on at the batch after the last one that it had finished.
    let start = progress.iter.saturating_sub(progress.epoch * progress.epoch_length);
    step::on_data(run, |data| data.start_epoch(progress.epoch, start))?;
    let mut batch_idx = start;
    while let Some(batch) = step::next_batch(run)? {
        let over = step::iteration(run, batch, batch_idx)?;
        run.machine.progress.iter += 1;
        if over.is_ok() {
            run.show_progress();
        }
        batch_idx += 1;
        boundary::check(run, over)?;
        if run.machine.stop.is_some() {
            break;
        }
    }
    step::end_data(run)?;
    if batch_idx < progress.epoch_length && run.machine.stop.is_some() {
        return Ok(false);
    }
    plan_validation(run, settings, progress.epoch + 1);
    let result = run.call_to_the_end(HookPoint::AfterTrainEpoch);
    run.machine.progress.epoch += 1;
    boundary::settle(run, result).map(|()| true)
}
