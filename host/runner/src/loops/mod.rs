//! The loops: training by epochs or iterations, validation, test. Nothing else decides when a hook point comes.

mod boundary;
mod epochs;
mod eval;
mod iterations;
pub(crate) mod step;

use serde_json::Value as Json;
use snaphook_plugin_api::HookPoint;

pub(crate) use eval::{EvalStage, evaluate, predict_one, sanity_check};

use crate::RunError;
use crate::machine::stage;
use crate::run::Run;
use crate::settings::{Length, TrainSettings};

/// Trains until the last epoch or iteration, or a stop request.
///
/// Source: `run` of the loops in `mmengine/runner/loops.py`. Where we differ: a stop request is honoured at the next
/// iteration; a run that was saved before a validation begins with it when it is resumed.
pub(crate) fn train(run: &mut Run, settings: &TrainSettings) -> Result<(), RunError> {
    enter(run);
    boundary::check(run, Ok(()))?;
    run.call(HookPoint::BeforeTrain)?;
    run.machine.is_training_begun = true;
    warn_if_done(run, settings);
    match settings.length {
        Length::Epochs(_) => epochs::run(run, settings)?,
        Length::Iterations(_) => iterations::run(run, settings)?,
    }
    if let Some(reason) = &run.machine.stop {
        run.machine.log.info(format!("Training stops: {reason}"));
    }
    crate::saving::settle(run)?;
    run.call(HookPoint::AfterTrain)?;
    crate::saving::settle(run)
}

/// Back in training, after a validation or at the start.
fn enter(run: &mut Run) {
    let batches = run.machine.task.train_data.as_ref().map_or(0, |data| data.batches());
    run.machine.progress.epoch_length = batches as u64;
    run.machine.progress.stage = stage::TRAIN;
}

fn warn_if_done(run: &Run, settings: &TrainSettings) {
    let progress = run.machine.progress;
    let (done, unit, key) = match settings.length {
        Length::Epochs(_) => (progress.epoch, "epochs", "max_epochs"),
        Length::Iterations(_) => (progress.iter, "iterations", "max_iters"),
    };
    if done >= settings.last() && !run.machine.is_validation_pending {
        let last = settings.last();
        run.machine
            .log
            .warn(format!("Nothing is left to train: {done} {unit} are done, {key} is {last}"));
    }
}

/// Decides, before the hooks that may save a checkpoint are called, whether a validation comes next: a checkpoint says
/// so, and a run that is resumed from it validates first.
fn plan_validation(run: &mut Run, settings: &TrainSettings, finished: u64) {
    let has_data = !run.machine.task.validation.is_empty();
    let is_due = settings.is_validation_due(finished) || ends_fast(run, settings, finished);
    run.machine.is_validation_pending = has_data && is_due;
}

/// Whether a run that only shows that everything works ends after so many epochs or iterations.
fn ends_fast(run: &Run, settings: &TrainSettings, finished: u64) -> bool {
    run.machine.fast.is_some_and(|fast| match settings.length {
        Length::Epochs(_) => finished >= 1,
        Length::Iterations(_) => finished >= fast.batches,
    })
}

/// Stops such a run where it ends.
fn stop_if_fast(run: &mut Run, settings: &TrainSettings, finished: u64) {
    if ends_fast(run, settings, finished) {
        run.machine.stop.get_or_insert_with(|| "--fast-dev-run has seen everything".to_owned());
    }
}

/// Validates if it is due, if a hook asked for it, or if a resumed run was saved before it.
fn validate_if_due(run: &mut Run) -> Result<(), RunError> {
    let asked = std::mem::take(&mut run.machine.wants_validation);
    let has_data = !run.machine.task.validation.is_empty();
    if has_data && (asked || run.machine.is_validation_pending) {
        run.machine.is_validation_pending = true;
        evaluate(run, EvalStage::Val)?;
        // A hook may have asked for the end, or for another validation.
        boundary::settle(run, Ok(()))?;
        enter(run);
    }
    Ok(())
}

/// What `on_exception` carries.
pub(crate) fn exception_payload(error: &RunError) -> Json {
    serde_json::json!({ "kind": error.kind(), "message": error.to_string() })
}
