//! Validation and test: the same loop with other hook points.
//!
//! Source: `mmengine/runner/loops.py`, `ValLoop` and `TestLoop`.

use serde_json::{Map, Value as Json, json};
use snaphook_libtorch::Autocast;
use snaphook_plugin_api::HookPoint;
use tch::{Device, Kind, Tensor, no_grad};

use super::boundary;
use crate::clock::Phase;
use crate::machine::{ALL_LOSSES, Machine, stage};
use crate::ranks::{BatchLosses, Occasion, Ranks, Share};
use crate::run::Run;
use crate::{AnyBatch, Evaluation, EvaluationSet, RunError, Task, saving};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvalStage {
    Val,
    Test,
}

struct Points {
    before: HookPoint,
    before_epoch: HookPoint,
    before_iter: HookPoint,
    after_iter: HookPoint,
    after_epoch: HookPoint,
    after: HookPoint,
}

impl EvalStage {
    fn points(self) -> Points {
        match self {
            EvalStage::Val => Points {
                before: HookPoint::BeforeVal,
                before_epoch: HookPoint::BeforeValEpoch,
                before_iter: HookPoint::BeforeValIter,
                after_iter: HookPoint::AfterValIter,
                after_epoch: HookPoint::AfterValEpoch,
                after: HookPoint::AfterVal,
            },
            EvalStage::Test => Points {
                before: HookPoint::BeforeTest,
                before_epoch: HookPoint::BeforeTestEpoch,
                before_iter: HookPoint::BeforeTestIter,
                after_iter: HookPoint::AfterTestIter,
                after_epoch: HookPoint::AfterTestEpoch,
                after: HookPoint::AfterTest,
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            EvalStage::Val => "validation",
            EvalStage::Test => "test",
        }
    }

    fn number(self) -> u32 {
        match self {
            EvalStage::Val => stage::VAL,
            EvalStage::Test => stage::TEST,
        }
    }

    fn sets(self, task: &mut Task) -> &mut Vec<EvaluationSet> {
        match self {
            EvalStage::Val => &mut task.validation,
            EvalStage::Test => &mut task.test,
        }
    }

    fn key(self) -> &'static str {
        match self {
            EvalStage::Val => "val_dataloader",
            EvalStage::Test => "test_dataloader",
        }
    }
}

/// Runs all batches of a validation or test and computes the metrics. Several sets are one epoch for hooks: their batches
/// follow one another, and `after_val_epoch` carries the metrics of all.
///
/// Errors: no data, a batch that cannot be read, a metric that cannot be computed, a hook; [`RunError::Interrupted`].
pub(crate) fn evaluate(run: &mut Run, which: EvalStage) -> Result<Evaluation, RunError> {
    let points = which.points();
    let mut batches = 0;
    for set in which.sets(&mut run.machine.task) {
        batches += set.data.batches() as u64;
    }
    if which.sets(&mut run.machine.task).is_empty() {
        let message = format!("missing, and it is needed for a {}", which.name());
        return Err(RunError::config(which.key(), message));
    }
    run.machine.progress.stage = which.number();
    run.machine.progress.epoch_length = batches;
    run.call(points.before)?;
    run.call(points.before_epoch)?;
    let outer = run.machine.clock.enter(Phase::Evaluation);
    run.machine.task.model.set_training(false);
    let evaluation = all_sets(run, which, &points)?;
    write_diagnoses(run, &evaluation)?;
    run.machine.clock.enter(outer);
    run.machine.payload = metrics_payload(&evaluation);
    run.machine.is_validation_pending &= which == EvalStage::Test;
    let result = run.call_to_the_end(points.after_epoch);
    run.machine.payload = Json::Null;
    result?;
    run.call(points.after)?;
    if which == EvalStage::Val {
        saving::add_validation(run)?;
    }
    Ok(evaluation)
}

/// A few batches of each validation set before training starts, to find out then what would fail after an epoch. No hook
/// hears of it, and nothing is kept of it.
///
/// Source: `num_sanity_val_steps` of Lightning's `Trainer`.
///
/// Errors: as [`evaluate`].
pub(crate) fn sanity_check(run: &mut Run, batches: u64) -> Result<(), RunError> {
    let which = EvalStage::Val;
    run.machine.task.model.set_training(false);
    for index in 0..which.sets(&mut run.machine.task).len() {
        start(run, which, index)?;
        for _ in 0..batches {
            boundary::check_alone(run)?;
            let Some(batch) = next(run, which, index)? else { break };
            run.machine.batch = Some(batch);
            no_grad(|| predict(&mut run.machine, which, index, Taker::Evaluator))?;
            run.machine.end_step();
        }
        let set = &mut which.sets(&mut run.machine.task)[index];
        set.data.end_epoch();
        set.evaluator.evaluate(set.data.samples()).map_err(RunError::Metric)?;
    }
    Ok(())
}

/// Predicts the first batch of validation data, if there is any; keeps nothing of it.
///
/// Errors: as [`evaluate`].
pub(crate) fn predict_one(run: &mut Run) -> Result<(), RunError> {
    let which = EvalStage::Val;
    if which.sets(&mut run.machine.task).is_empty() {
        return Ok(());
    }
    run.machine.task.model.set_training(false);
    start(run, which, 0)?;
    run.machine.batch = next(run, which, 0)?;
    predict(&mut run.machine, which, 0, Taker::Evaluator)?;
    run.machine.end_step();
    which.sets(&mut run.machine.task)[0].data.end_epoch();
    Ok(())
}

fn all_sets(run: &mut Run, which: EvalStage, points: &Points) -> Result<Evaluation, RunError> {
    let mut all = Evaluation::default();
    let mut batch_idx = 0;
    let mut losses = LossMeans::default();
    for index in 0..which.sets(&mut run.machine.task).len() {
        let mut share = Share::default();
        let gone = all_batches(run, (which, index), points, batch_idx, (&mut losses, &mut share));
        batch_idx = run.machine.ranks.agree_on(Occasion::Evaluation, gone)?;
        let (ranks, task) = (&mut run.machine.ranks, &mut run.machine.task);
        let set = &mut which.sets(task)[index];
        let name = set.name.clone();
        let found = ranks.evaluate(set.evaluator.as_mut(), share, set.data.samples())?;
        let means = losses.take(ranks)?;
        if let Some(table) = &found.table {
            let heading = name.as_ref().map_or(String::new(), |name| format!("{name}:\n"));
            run.machine.log.info(format!("\n{heading}{table}"));
        }
        let named = |(key, value)| (set.metric_name(key), value);
        all.metrics.extend(found.metrics.into_iter().map(named));
        let of_set = |found: snaphook_report::Diagnosed| {
            let names = [name.as_deref().unwrap_or_default(), &found.name];
            let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
            snaphook_report::Diagnosed { name: names.join(", "), ..found }
        };
        all.diagnoses.extend(found.diagnoses.into_iter().map(of_set));
        all.metrics.extend(means.into_iter().map(named));
    }
    Ok(all)
}

/// Goes through one set; returns the number of the batch after its last one.
fn all_batches(
    run: &mut Run,
    (which, index): (EvalStage, usize),
    points: &Points,
    first: u64,
    (losses, share): (&mut LossMeans, &mut Share),
) -> Result<u64, RunError> {
    start(run, which, index)?;
    let mut batch_idx = first;
    while let Some(batch) = next(run, which, index)? {
        run.machine.batch = Some(batch);
        // Hooks see tensors without gradients, as the model does.
        no_grad(|| {
            run.call_batch(points.before_iter, batch_idx)?;
            let taker = match run.machine.ranks.are_many() {
                true => Taker::Share(share),
                false => Taker::Evaluator,
            };
            predict(&mut run.machine, which, index, taker)?;
            if which == EvalStage::Val && run.machine.eval_settings.loss {
                losses.add(&mut run.machine)?;
            }
            run.call_batch(points.after_iter, batch_idx)
        })?;
        run.machine.end_step();
        batch_idx += 1;
        run.show_evaluation(batch_idx);
        boundary::check_alone(run)?;
    }
    which.sets(&mut run.machine.task)[index].data.end_epoch();
    Ok(batch_idx)
}

fn start(run: &mut Run, which: EvalStage, index: usize) -> Result<(), RunError> {
    let set = &mut which.sets(&mut run.machine.task)[index];
    set.data.start_epoch(0, 0).map_err(|source| RunError::Data { stage: which.name(), source })
}

fn next(run: &mut Run, which: EvalStage, index: usize) -> Result<Option<AnyBatch>, RunError> {
    let batch = which.sets(&mut run.machine.task)[index].data.next_batch().transpose();
    batch.map_err(|source| RunError::Data { stage: which.name(), source })
}

/// Who gets the predictions for a batch.
enum Taker<'a> {
    /// The metric itself.
    Evaluator,
    /// Rank 0's metric, at the end.
    Share(&'a mut Share),
}

fn predict(
    machine: &mut Machine,
    which: EvalStage,
    index: usize,
    taker: Taker<'_>,
) -> Result<(), RunError> {
    let iter = machine.progress.iter;
    let Some(batch) = machine.batch.take() else { return Ok(()) };
    let precision = precision(machine, which);
    let predicted = precision.run(|| machine.task.model.predict(&batch));
    let failed = |source| RunError::Model { stage: which.name(), iter, source };
    let predictions = predicted.map_err(failed)?;
    let evaluator = &mut which.sets(&mut machine.task)[index].evaluator;
    let taken = match taker {
        Taker::Evaluator => evaluator.process(&batch, &predictions),
        Taker::Share(share) => {
            evaluator.pack(&batch, &predictions).map(|samples| share.add(&samples))
        }
    };
    taken.map_err(RunError::Metric)?;
    machine.batch = Some(batch);
    machine.predictions = Some(predictions);
    Ok(())
}

/// That of `val_cfg.fp16` or `test_cfg.fp16`.
///
/// Source: `ValLoop.run_iter` in `mmengine/runner/loops.py`.
fn precision(machine: &Machine, which: EvalStage) -> Autocast {
    let is_half = match which {
        EvalStage::Val => machine.eval_settings.val_fp16,
        EvalStage::Test => machine.eval_settings.test_fp16,
    };
    // Which half precision is the device's choice, so that it has one.
    let half = is_half.then(|| Autocast::on(machine.info.device, None)).flatten();
    half.unwrap_or(Autocast::OFF)
}

/// The losses on validation data: a mean over batches for each.
///
/// Source: `_update_losses` and `_parse_losses` in `mmengine/runner/loops.py`.
#[derive(Default)]
struct LossMeans {
    /// Of each batch on this rank, the names of its losses, and their values in a tensor that nobody has waited for; none of
    /// a batch that had no picture.
    batches: Vec<(Vec<String>, Option<Tensor>)>,
}

impl LossMeans {
    fn add(&mut self, machine: &mut Machine) -> Result<(), RunError> {
        let iter = machine.progress.iter;
        let failed = |source| RunError::Model { stage: "validation", iter, source };
        let precision = precision(machine, EvalStage::Val);
        let Some(batch) = &machine.batch else { return Ok(()) };
        let losses = precision.run(|| machine.task.model.validation_loss(batch));
        let (names, losses): (Vec<_>, Vec<_>) = losses.map_err(failed)?.0.into_iter().unzip();
        let number = |loss: &Tensor| loss.detach().to_kind(Kind::Double).reshape([1]);
        let values: Vec<_> = losses.iter().map(number).collect();
        self.batches.push((names, (!values.is_empty()).then(|| Tensor::cat(&values, 0))));
        Ok(())
    }

    /// The means over the batches of all ranks, added up in the order of a single process; then their sum as
    /// [`ALL_LOSSES`]. Empty when there were none. Starts anew.
    ///
    /// Errors: a rank that is gone.
    fn take(&mut self, ranks: &Ranks) -> Result<Vec<(String, f64)>, RunError> {
        let own = std::mem::take(&mut self.batches).into_iter().map(numbers).collect();
        let batches = ranks.gather_losses(own)?;
        let mut sums: Vec<(String, f64)> = Vec::new();
        for (name, loss) in batches.iter().flatten() {
            match sums.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += loss,
                None => sums.push((name.clone(), *loss)),
            }
        }
        let count = batches.iter().filter(|losses| !losses.is_empty()).count() as f64;
        let mut means: Vec<_> = sums.into_iter().map(|(name, sum)| (name, sum / count)).collect();
        let total =
            means.iter().filter(|(name, _)| name.contains("loss")).map(|(_, mean)| mean).sum();
        if !means.is_empty() {
            means.push((ALL_LOSSES.to_owned(), total));
        }
        Ok(means)
    }
}

/// A batch's losses, waiting for the device that computes them.
fn numbers((names, values): (Vec<String>, Option<Tensor>)) -> BatchLosses {
    let Some(values) = values else { return BatchLosses::new() };
    let values = Vec::<f64>::try_from(values.to_device(Device::Cpu)).expect("a row of doubles");
    names.into_iter().zip(values).collect()
}

/// For the report: what goes wrong where in the last evaluation.
fn write_diagnoses(run: &Run, evaluation: &Evaluation) -> Result<(), RunError> {
    let folder = run.machine.info.vis_data();
    if evaluation.diagnoses.is_empty() || !folder.is_dir() {
        return Ok(());
    }
    let path = folder.join(snaphook_report::EVALUATION_FILE);
    let text = json!(evaluation.diagnoses).to_string();
    std::fs::write(&path, text).map_err(|source| RunError::File { path, source })
}

fn metrics_payload(evaluation: &Evaluation) -> Json {
    let metrics: Map<String, Json> =
        evaluation.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    Json::Object(metrics)
}
