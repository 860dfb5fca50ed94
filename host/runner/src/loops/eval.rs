//! Validation and test: the same loop with other hook points.
//!
//! Source: `mmengine/runner/loops.py`, `ValLoop` and `TestLoop`.

use serde_json::{Map, Value as Json, json};
use snaphook_plugin_api::HookPoint;
use tch::no_grad;

use crate::clock::Phase;
use crate::machine::{Machine, stage};
use crate::run::Run;
use crate::{DataSource, Evaluation, Evaluator, RunError};

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

    fn parts(
        self,
        machine: &mut Machine,
    ) -> Result<(&mut dyn DataSource, &mut dyn Evaluator), RunError> {
        let (parts, key) = match self {
            EvalStage::Val => (&mut machine.task.validation, "val_dataloader"),
            EvalStage::Test => (&mut machine.task.test, "test_dataloader"),
        };
        match parts {
            Some((data, evaluator)) => Ok((data.as_mut(), evaluator.as_mut())),
            None => Err(RunError::config(
                key,
                format!("missing, and it is needed for a {}", self.name()),
            )),
        }
    }
}

/// Runs all batches of a validation or test and computes the metrics.
pub(crate) fn evaluate(run: &mut Run, which: EvalStage) -> Result<Evaluation, RunError> {
    let points = which.points();
    let batches = which.parts(&mut run.machine)?.0.batches();
    run.machine.progress.stage = which.number();
    run.machine.progress.epoch_length = batches as u64;
    run.call(points.before)?;
    run.call(points.before_epoch)?;
    let outer = run.machine.clock.enter(Phase::Evaluation);
    run.machine.task.model.set_training(false);
    no_grad(|| all_batches(run, which, &points))?;
    let (data, evaluator) = which.parts(&mut run.machine)?;
    let samples = data.samples();
    let evaluation = evaluator.evaluate(samples).map_err(RunError::Metric)?;
    run.machine.clock.enter(outer);
    if let Some(table) = &evaluation.table {
        run.machine.log.info(format!("\n{table}"));
    }
    run.machine.payload = metrics_payload(&evaluation);
    run.call(points.after_epoch)?;
    run.machine.payload = Json::Null;
    run.call(points.after)?;
    Ok(evaluation)
}

fn all_batches(run: &mut Run, which: EvalStage, points: &Points) -> Result<(), RunError> {
    let data_error = |source| RunError::Data { stage: which.name(), source };
    which.parts(&mut run.machine)?.0.start_epoch(0, 0).map_err(data_error)?;
    let mut batch_idx = 0;
    while let Some(batch) = which.parts(&mut run.machine)?.0.next_batch() {
        run.machine.batch = Some(batch.map_err(data_error)?);
        run.call_batch(points.before_iter, batch_idx)?;
        predict(&mut run.machine, which)?;
        run.call_batch(points.after_iter, batch_idx)?;
        run.machine.end_step();
        batch_idx += 1;
    }
    which.parts(&mut run.machine)?.0.end_epoch();
    Ok(())
}

fn predict(machine: &mut Machine, which: EvalStage) -> Result<(), RunError> {
    let iter = machine.progress.iter;
    let Some(batch) = machine.batch.take() else { return Ok(()) };
    let predicted = machine.task.model.predict(&batch);
    let failed = |source| RunError::Model { stage: which.name(), iter, source };
    let predictions = predicted.map_err(failed)?;
    let (_, evaluator) = which.parts(machine)?;
    evaluator.process(&batch, &predictions).map_err(RunError::Metric)?;
    machine.batch = Some(batch);
    machine.predictions = Some(predictions);
    Ok(())
}

fn metrics_payload(evaluation: &Evaluation) -> Json {
    let metrics: Map<String, Json> =
        evaluation.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    Json::Object(metrics)
}
