//! From the number of a point to the method of a hook. Knows nothing of where the hook was compiled.

use crate::arguments::{
    Batch, Checkpoint, EvalStep, Outputs, RunError, SavedCheckpoint, TrainStep, WantedCheckpoint,
};
use crate::{Hook, HookError, HookPoint, HookResult, Metrics, Runner};

/// What `#[hook]` knows of a hook when it is compiled.
pub trait HookType: Hook + Sized + 'static {
    /// The name that a config gives as `type`.
    const NAME: &'static str;
    /// The first paragraph of the type's documentation.
    const SUMMARY: &'static str;
    /// The points whose methods are written.
    const POINTS: &'static [HookPoint];
    /// The priority that the author chose.
    const PRIORITY: Option<i64>;
    /// The most that a call costs by the author's word, in microseconds.
    const COST_US: Option<u64> = None;
    /// JSON schema of the keyword arguments.
    const KWARGS_SCHEMA: &'static str;
    /// How settled it is, `stable` unless the author says otherwise.
    const STABILITY: &'static str;

    /// Builds the hook from a JSON object of keyword arguments.
    ///
    /// Errors: all arguments that are wrong, in one message.
    fn construct(kwargs: &str) -> Result<Self, HookError>;
}

/// Calls the method of `point`.
pub(crate) fn dispatch(
    hook: &mut dyn Hook,
    point: HookPoint,
    batch_idx: Option<u64>,
    runner: &mut Runner<'_>,
) -> HookResult {
    let batch_idx = batch_idx.unwrap_or(0);
    let (batch, host) = (Batch { batch_idx }, runner.host);
    match point {
        HookPoint::BeforeTrainIter => hook.before_train_iter(runner, &batch),
        HookPoint::AfterTrainIter => {
            hook.after_train_iter(runner, &TrainStep { batch_idx, outputs: Outputs { host } })
        }
        HookPoint::AfterBackward => hook.after_backward(runner, &batch),
        HookPoint::BeforeOptimStep => hook.before_optim_step(runner, &batch),
        HookPoint::AfterOptimStep => hook.after_optim_step(runner, &batch),
        HookPoint::BeforeValIter => hook.before_val_iter(runner, &batch),
        HookPoint::AfterValIter => hook.after_val_iter(runner, &EvalStep { batch_idx, host }),
        HookPoint::BeforeTestIter => hook.before_test_iter(runner, &batch),
        HookPoint::AfterTestIter => hook.after_test_iter(runner, &EvalStep { batch_idx, host }),
        _ => dispatch_rare(hook, point, runner),
    }
}

fn dispatch_rare(hook: &mut dyn Hook, point: HookPoint, runner: &mut Runner<'_>) -> HookResult {
    let host = runner.host;
    let payload = || host.payload(point.number());
    match point {
        HookPoint::BeforeRun => hook.before_run(runner),
        HookPoint::AfterRun => hook.after_run(runner),
        HookPoint::BeforeTrain => hook.before_train(runner),
        HookPoint::AfterTrain => hook.after_train(runner),
        HookPoint::BeforeVal => hook.before_val(runner),
        HookPoint::AfterVal => hook.after_val(runner),
        HookPoint::BeforeTest => hook.before_test(runner),
        HookPoint::AfterTest => hook.after_test(runner),
        HookPoint::BeforeTrainEpoch => hook.before_train_epoch(runner),
        HookPoint::AfterTrainEpoch => hook.after_train_epoch(runner),
        HookPoint::BeforeValEpoch => hook.before_val_epoch(runner),
        HookPoint::BeforeTestEpoch => hook.before_test_epoch(runner),
        HookPoint::AfterValEpoch => hook.after_val_epoch(runner, &Metrics::from_json(&payload()?)),
        HookPoint::AfterTestEpoch => {
            hook.after_test_epoch(runner, &Metrics::from_json(&payload()?))
        }
        HookPoint::BeforeSaveCheckpoint => {
            hook.before_save_checkpoint(runner, &mut Checkpoint { host })
        }
        HookPoint::AfterSaveCheckpoint => {
            hook.after_save_checkpoint(runner, &SavedCheckpoint::from_json(payload()?))
        }
        HookPoint::AfterLoadCheckpoint => {
            hook.after_load_checkpoint(runner, &mut Checkpoint { host })
        }
        HookPoint::OnException => hook.on_exception(runner, &RunError::from_json(&payload()?)),
        HookPoint::FetchCheckpoint => {
            hook.fetch_checkpoint(runner, &WantedCheckpoint::from_json(&payload()?))
        }
        _ => Ok(()), // the points of every iteration are not rare
    }
}
