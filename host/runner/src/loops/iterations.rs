//! The iteration-based training loop: the whole run is one epoch for hooks, and data begins anew as often as needed.
//!
//! Source: `mmengine/runner/loops.py`, `IterBasedTrainLoop`. Where we differ: a resumed run goes to its place in the
//! data at once, where MMEngine reads everything again that was read before, and nothing sleeps when the data begins
//! anew.

use snaphook_plugin_api::HookPoint;

use super::{boundary, plan_validation, step, stop_if_fast, validate_if_due};
use crate::run::Run;
use crate::settings::TrainSettings;
use crate::{AnyBatch, RunError};

/// All iterations, each with the validation that follows it.
pub(super) fn run(run: &mut Run, settings: &TrainSettings) -> Result<(), RunError> {
    run.call(HookPoint::BeforeTrainEpoch)?;
    let mut data = Passes { running: None };
    validate_if_due(run)?;
    while run.machine.progress.iter < settings.last() && run.machine.stop.is_none() {
        run.machine.task.model.set_training(true);
        let batch = data.next(run)?;
        let iter = run.machine.progress.iter;
        plan_validation(run, settings, iter + 1);
        let over = step::iteration(run, batch, iter)?;
        run.machine.progress.iter += 1;
        if over.is_ok() {
            run.show_progress();
        }
        boundary::check(run, over)?;
        validate_if_due(run)?;
        stop_if_fast(run, settings, iter + 1);
    }
    step::end_data(run)?;
    run.call(HookPoint::AfterTrainEpoch)
}

/// Goes through the data as often as needed.
struct Passes {
    /// The pass that is being read.
    running: Option<u64>,
}

impl Passes {
    fn next(&mut self, run: &mut Run) -> Result<AnyBatch, RunError> {
        let progress = run.machine.progress;
        let pass = progress.iter / progress.epoch_length;
        if self.running != Some(pass) {
            let start = progress.iter % progress.epoch_length;
            step::on_data(run, |data| {
                data.set_epoch(pass);
                data.start_epoch(pass, start)
            })?;
            self.running = Some(pass);
        }
        step::next_batch(run)?.ok_or_else(|| {
            let iter = progress.iter + 1;
            step::data_error(
                format!("no batch for iteration {iter}: the data set became smaller").into(),
            )
        })
    }
}
