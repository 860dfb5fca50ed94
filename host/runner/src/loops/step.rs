//! One training iteration: the only place that calls the points within it.
//!
//! Source: `run_iter` of the loops in `mmengine/runner/loops.py`.

use std::time::Instant;

use snaphook_plugin_api::HookPoint;
use tch::Tensor;

use crate::clock::Phase;
use crate::optim::OptimWrapper;
use crate::run::Run;
use crate::{AnyBatch, BoxError, RunError, StepContext};
use snaphook_libtorch::Autocast;

/// Trains on a batch. The state of the run is not whole from the forward pass on until all hooks of the iteration
/// have been called.
///
/// Within is how the finished iteration ended: with the error of a hook at its last point, after which the state can be
/// saved. Errors: the iteration could not be finished.
pub(super) fn iteration(
    run: &mut Run,
    batch: AnyBatch,
    batch_idx: u64,
) -> Result<Result<(), RunError>, RunError> {
    let began = Instant::now();
    run.machine.batch = Some(batch);
    run.call_batch(HookPoint::BeforeTrainIter, batch_idx)?;
    run.machine.is_whole = false;
    run.machine.clock.enter(Phase::Forward);
    let exchanges = uses_gradients(run);
    let loss = forward(run, exchanges)?;
    run.machine.clock.enter(Phase::Backward);
    backward(run, &loss, exchanges)?;
    run.machine.clock.enter(Phase::Optimizer);
    run.call_batch(HookPoint::AfterBackward, batch_idx)?;
    optimize(run, batch_idx)?;
    run.machine.ranks.check()?;
    run.machine.clock.enter(Phase::Other);
    let result = run.call_batch_to_the_end(HookPoint::AfterTrainIter, batch_idx);
    run.machine.end_step();
    // Every hook has had its turn, also where one has failed.
    run.machine.is_whole = true;
    if result.is_ok() {
        run.machine.trace_iteration(began);
    }
    Ok(result)
}

/// Whether the optimizer uses the gradients of this iteration, or only adds them up.
fn uses_gradients(run: &Run) -> bool {
    let progress = run.machine.progress;
    let optim = run.machine.optim.as_ref();
    optim.is_none_or(|optim| optim.is_due(progress.iter, progress.max_iters))
}

/// Trains on a batch without calling any hook.
pub(crate) fn bare(run: &mut Run, batch: AnyBatch) -> Result<(), RunError> {
    run.machine.batch = Some(batch);
    let loss = forward(run, true)?;
    backward(run, &loss, true)?;
    if let Some(optim) = &mut run.machine.optim {
        optim.clip();
        optim.step();
        optim.zero_grad();
    }
    run.machine.progress.iter += 1;
    run.machine.end_step();
    Ok(())
}

/// Computes the losses, keeps them as the step's outputs (`loss`, their sum, first), returns the sum.
///
/// Source: `BaseModel.parse_losses` in `mmengine/model/base_model/base_model.py`.
fn forward(run: &mut Run, exchanges: bool) -> Result<Tensor, RunError> {
    let machine = &mut run.machine;
    let context = StepContext {
        iter: machine.progress.iter,
        epoch: machine.progress.epoch,
        seed: machine.info.seed,
    };
    let failed = |source| RunError::Model { stage: "training", iter: context.iter + 1, source };
    let Some(batch) = &machine.batch else {
        return Err(failed("there is no batch".into()));
    };
    machine.ranks.before_forward(machine.task.model.state(), exchanges)?;
    // Whatever a model draws at random, such as dropout, depends on the iteration alone: a resumed run draws the same.
    tch::manual_seed(draw_seed(machine.ranks.draw_seed(context.seed), context.iter));
    let precision = machine.optim.as_ref().map_or(Autocast::OFF, OptimWrapper::autocast);
    let losses = precision.run(|| machine.task.model.loss(batch, &context)).map_err(failed)?.0;
    machine.ranks.after_forward()?;
    let terms: Vec<_> = losses.iter().filter(|(name, _)| name.contains("loss")).collect();
    let Some(first) = terms.first() else {
        return Err(failed("the model returned no loss (a name with \"loss\" in it)".into()));
    };
    let total = terms[1..].iter().fold(first.1.shallow_clone(), |sum, (_, loss)| sum + loss);
    machine.outputs = vec![("loss".to_owned(), total.detach())];
    machine.outputs.extend(losses.into_iter().map(|(name, loss)| (name, loss.detach())));
    Ok(total)
}

fn backward(run: &mut Run, loss: &Tensor, exchanges: bool) -> Result<(), RunError> {
    let progress = run.machine.progress;
    let scaled = match &mut run.machine.optim {
        Some(optim) => optim.scale_loss(loss, progress.iter, progress.max_iters),
        None => loss.shallow_clone(),
    };
    Ok(run.machine.ranks.backward(&scaled, exchanges)?)
}

/// `clip_grad.error_if_nonfinite`.
fn check_norm(norm: &Tensor, iter: u64) -> Result<(), RunError> {
    let value = norm.double_value(&[]);
    if value.is_finite() {
        return Ok(());
    }
    let text =
        format!("the norm of all gradients is {value} (clip_grad.error_if_nonfinite is set)");
    Err(RunError::Model { stage: "training", iter: iter + 1, source: text.into() })
}

fn optimize(run: &mut Run, batch_idx: u64) -> Result<(), RunError> {
    let (iter, max_iters) = (run.machine.progress.iter, run.machine.progress.max_iters);
    let Some(optim) = &mut run.machine.optim else { return Ok(()) };
    if !optim.is_due(iter, max_iters) {
        return Ok(());
    }
    if let Some(norm) = optim.clip() {
        if optim.wants_finite_norms() {
            check_norm(&norm, iter)?;
        }
        run.machine.messages.add_tensor("train/grad_norm", &norm);
    }
    run.call_batch(HookPoint::BeforeOptimStep, batch_idx)?;
    if let Some(optim) = &mut run.machine.optim {
        optim.step();
        optim.zero_grad();
    }
    run.call_batch(HookPoint::AfterOptimStep, batch_idx)
}

/// The next batch of the training data; `None` at the end of an epoch.
pub(crate) fn next_batch(run: &mut Run) -> Result<Option<AnyBatch>, RunError> {
    let before = run.machine.next_iteration();
    let outer = run.machine.clock.enter(Phase::Data);
    let batch = run.machine.task.train_data.as_mut().and_then(|data| data.next_batch());
    run.machine.clock.enter(outer);
    if batch.is_none() {
        run.machine.clock.run_iteration(before);
    }
    batch.transpose().map_err(data_error)
}

/// Does something with the training data.
pub(crate) fn on_data(
    run: &mut Run,
    act: impl FnOnce(&mut dyn crate::DataSource) -> Result<(), BoxError>,
) -> Result<(), RunError> {
    match &mut run.machine.task.train_data {
        Some(data) => act(data.as_mut()).map_err(data_error),
        None => Err(RunError::config("train_dataloader", "missing, and it is needed to train")),
    }
}

/// An error of the training data.
pub(super) fn data_error(source: BoxError) -> RunError {
    RunError::Data { stage: "training", source }
}

/// Ends an epoch of the training data.
pub(crate) fn end_data(run: &mut Run) -> Result<(), RunError> {
    on_data(run, |data| {
        data.end_epoch();
        Ok(())
    })
}

/// A seed of its own for every iteration of every run.
fn draw_seed(seed: u64, iter: u64) -> i64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbours become unlike.
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(iter);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as i64
}
