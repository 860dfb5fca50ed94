//! The epoch-based training loop. The only place that calls the training points.
//!
//! Source: `mmengine/runner/loops.py`, `EpochBasedTrainLoop`. Where we differ: a stop request is
//! honoured at the next iteration, not at the end of the epoch.

use std::time::Instant;

use serde_json::Value as Json;
use snaphook_plugin_api::HookPoint;
use tch::Tensor;

use super::{EvalStage, evaluate};
use crate::clock::Phase;
use crate::machine::stage;
use crate::run::Run;
use crate::settings::TrainSettings;
use crate::{AnyBatch, BoxError, RunError, StepContext};

/// Trains until the last epoch or a stop request.
pub(crate) fn train(run: &mut Run, settings: &TrainSettings) -> Result<(), RunError> {
    enter(run);
    run.call(HookPoint::BeforeTrain)?;
    if run.machine.progress.epoch >= settings.max_epochs {
        let done = run.machine.progress.epoch;
        run.machine.log.warn(format!(
            "Nothing is left to train: {done} epochs are done, max_epochs is {}",
            settings.max_epochs
        ));
    }
    while run.machine.progress.epoch < settings.max_epochs && run.machine.stop.is_none() {
        if !epoch(run)? {
            break;
        }
        let finished = run.machine.progress.epoch;
        let asked = std::mem::take(&mut run.machine.wants_validation);
        if run.machine.task.validation.is_some() && (settings.is_validation_due(finished) || asked)
        {
            evaluate(run, EvalStage::Val)?;
            enter(run);
        }
    }
    if let Some(reason) = &run.machine.stop {
        run.machine.log.info(format!("Training stops: {reason}"));
    }
    run.call(HookPoint::AfterTrain)
}

fn enter(run: &mut Run) {
    let batches = run.machine.task.train_data.as_ref().map_or(0, |data| data.batches());
    run.machine.progress.epoch_length = batches as u64;
    run.machine.progress.stage = stage::TRAIN;
}

/// Trains an epoch; false when a stop request ended it before its last batch. Such an epoch does not count,
/// so that no checkpoint claims it, and `after_train_epoch` is not called.
fn epoch(run: &mut Run) -> Result<bool, RunError> {
    run.call(HookPoint::BeforeTrainEpoch)?;
    run.machine.task.model.set_training(true);
    let progress = run.machine.progress;
    // A run resumed in mid-epoch goes on at the batch after the last one that it had finished.
    let start = progress.iter.saturating_sub(progress.epoch * progress.epoch_length);
    on_data(run, |data| data.start_epoch(progress.epoch, start))?;
    let mut batch_idx = start;
    while let Some(batch) = next_batch(run)? {
        iteration(run, batch, batch_idx)?;
        run.machine.progress.iter += 1;
        run.show_progress();
        batch_idx += 1;
        if run.machine.stop.is_some() {
            break;
        }
    }
    on_data(run, |data| {
        data.end_epoch();
        Ok(())
    })?;
    if batch_idx < progress.epoch_length && run.machine.stop.is_some() {
        return Ok(false);
    }
    run.call(HookPoint::AfterTrainEpoch)?;
    run.machine.progress.epoch += 1;
    Ok(true)
}

fn iteration(run: &mut Run, batch: AnyBatch, batch_idx: u64) -> Result<(), RunError> {
    let began = Instant::now();
    run.machine.batch = Some(batch);
    run.call_batch(HookPoint::BeforeTrainIter, batch_idx)?;
    run.machine.clock.enter(Phase::Forward);
    let loss = forward(run)?;
    run.machine.clock.enter(Phase::Backward);
    backward(run, &loss);
    run.machine.clock.enter(Phase::Optimizer);
    run.call_batch(HookPoint::AfterBackward, batch_idx)?;
    optimize(run, batch_idx)?;
    run.machine.clock.enter(Phase::Other);
    run.call_batch(HookPoint::AfterTrainIter, batch_idx)?;
    run.machine.end_step();
    run.machine.trace_iteration(began);
    Ok(())
}

/// Computes the losses, keeps them as the step's outputs (`loss`, their sum, first), returns the sum.
///
/// Source: `BaseModel.parse_losses` in `mmengine/model/base_model/base_model.py`.
fn forward(run: &mut Run) -> Result<Tensor, RunError> {
    let machine = &mut run.machine;
    let context = StepContext {
        iter: machine.progress.iter,
        epoch: machine.progress.epoch,
        seed: machine.info.seed,
    };
    let failed = |source| RunError::Model { stage: "training", iter: context.iter, source };
    let Some(batch) = &machine.batch else {
        return Err(failed("there is no batch".into()));
    };
    let losses = machine.task.model.loss(batch, &context).map_err(failed)?.0;
    let terms: Vec<_> = losses.iter().filter(|(name, _)| name.contains("loss")).collect();
    let Some(first) = terms.first() else {
        return Err(failed("the model returned no loss (a name with \"loss\" in it)".into()));
    };
    let total = terms[1..].iter().fold(first.1.shallow_clone(), |sum, (_, loss)| sum + loss);
    machine.outputs = vec![("loss".to_owned(), total.detach())];
    machine.outputs.extend(losses.into_iter().map(|(name, loss)| (name, loss.detach())));
    Ok(total)
}

fn backward(run: &mut Run, loss: &Tensor) {
    let progress = run.machine.progress;
    match &mut run.machine.optim {
        Some(optim) => optim.scale_loss(loss, progress.iter, progress.max_iters).backward(),
        None => loss.backward(),
    }
}

fn optimize(run: &mut Run, batch_idx: u64) -> Result<(), RunError> {
    let (iter, max_iters) = (run.machine.progress.iter, run.machine.progress.max_iters);
    let Some(optim) = &mut run.machine.optim else { return Ok(()) };
    if !optim.is_due(iter, max_iters) {
        return Ok(());
    }
    if let Some(norm) = optim.clip() {
        run.machine.messages.add_tensor("train/grad_norm", &norm);
    }
    run.call_batch(HookPoint::BeforeOptimStep, batch_idx)?;
    if let Some(optim) = &mut run.machine.optim {
        optim.step();
        optim.zero_grad();
    }
    run.call_batch(HookPoint::AfterOptimStep, batch_idx)
}

fn next_batch(run: &mut Run) -> Result<Option<AnyBatch>, RunError> {
    let outer = run.machine.clock.enter(Phase::Data);
    let batch = run.machine.task.train_data.as_mut().and_then(|data| data.next_batch());
    run.machine.clock.enter(outer);
    batch.transpose().map_err(data_error)
}

fn on_data(
    run: &mut Run,
    act: impl FnOnce(&mut dyn crate::DataSource) -> Result<(), BoxError>,
) -> Result<(), RunError> {
    match &mut run.machine.task.train_data {
        Some(data) => act(data.as_mut()).map_err(data_error),
        None => Err(RunError::config("train_dataloader", "missing, and it is needed to train")),
    }
}

fn data_error(source: BoxError) -> RunError {
    RunError::Data { stage: "training", source }
}

/// What `on_exception` carries.
pub(crate) fn exception_payload(error: &RunError) -> Json {
    serde_json::json!({ "kind": error.kind(), "message": error.to_string() })
}
