//! The trait that hooks implement, one method per hook point. Knows nothing of the ABI.

use crate::{
    Batch, Checkpoint, EvalStep, HookError, Metrics, RunError, Runner, SavedCheckpoint, TrainStep,
    WantedCheckpoint,
};

/// What every method of a hook returns; an error stops the run unless the config says otherwise.
pub type HookResult = Result<(), HookError>;

/// The state of a hook that must survive a resume.
#[derive(Clone, Debug, PartialEq)]
pub struct HookState {
    /// The author's version of `data`'s layout, from 1.
    pub version: u32,
    /// The state.
    pub data: serde_json::Value,
}

macro_rules! points_without_data {
    ($($name:ident: $doc:literal;)*) => {
        $(#[doc = $doc] fn $name(&mut self, runner: &mut Runner) -> HookResult { let _ = runner; Ok(()) })*
    };
}

/// A training hook. Every method has an empty body by default; with `#[hook]` on the impl, the points
/// whose methods are not written cost nothing.
///
/// The order of the calls is in [`crate::HookPoint`].
pub trait Hook {
    points_without_data! {
        before_run: "Once, before weights are made or loaded; `epoch` and `iter` are 0 even for a resumed run.";
        after_run: "Once, last of all.";
        before_train: "Before the first epoch, with `epoch` and `iter` where the run starts.";
        after_train: "After the last epoch.";
        before_val: "Before a validation.";
        after_val: "After a validation.";
        before_test: "Before a test.";
        after_test: "After a test.";
        before_train_epoch: "Before an epoch, before the model is set to training mode.";
        after_train_epoch: "After an epoch: `iter` already counts it, `epoch` does not.";
        before_val_epoch: "Before the batches of a validation, before the model is set to evaluation mode.";
        before_test_epoch: "Before the batches of a test, before the model is set to evaluation mode.";
    }
    /// After the metrics of a validation are known.
    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let _ = (runner, metrics);
        Ok(())
    }
    /// After the metrics of a test are known.
    fn after_test_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let _ = (runner, metrics);
        Ok(())
    }
    /// Before the forward pass of a training batch.
    fn before_train_iter(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// After the optimizer step; `iter` does not count this iteration yet.
    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        let _ = (runner, step);
        Ok(())
    }
    /// Before a validation batch.
    fn before_val_iter(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// After a validation batch was predicted and handed to the metrics.
    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        let _ = (runner, step);
        Ok(())
    }
    /// Before a test batch.
    fn before_test_iter(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// After a test batch was predicted and handed to the metrics.
    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        let _ = (runner, step);
        Ok(())
    }
    /// After the gradients of a batch are there, before they are clipped.
    fn after_backward(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// Right before the optimizer changes the weights.
    fn before_optim_step(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// Right after the optimizer changed the weights.
    fn after_optim_step(&mut self, runner: &mut Runner, batch: &Batch) -> HookResult {
        let _ = (runner, batch);
        Ok(())
    }
    /// Before a checkpoint is written; entries added here are saved in it.
    fn before_save_checkpoint(
        &mut self,
        runner: &mut Runner,
        checkpoint: &mut Checkpoint,
    ) -> HookResult {
        let _ = (runner, checkpoint);
        Ok(())
    }
    /// After a checkpoint is whole on disk.
    fn after_save_checkpoint(
        &mut self,
        runner: &mut Runner,
        saved: &SavedCheckpoint,
    ) -> HookResult {
        let _ = (runner, saved);
        Ok(())
    }
    /// After a checkpoint was read, before the weights go into the model.
    fn after_load_checkpoint(
        &mut self,
        runner: &mut Runner,
        checkpoint: &mut Checkpoint,
    ) -> HookResult {
        let _ = (runner, checkpoint);
        Ok(())
    }
    /// When the run ends with an error, before it is reported; a last chance to tell somebody.
    fn on_exception(&mut self, runner: &mut Runner, error: &RunError) -> HookResult {
        let _ = (runner, error);
        Ok(())
    }
    /// Before anything is built, when the run is to start from a checkpoint that a URL names (`--resume s3://…`). A hook
    /// that knows such URLs brings it into `wanted.folder` and says where it is with
    /// [`crate::services::Checkpoints::fetched`]; every other hook does nothing. Log, config and work folder are there,
    /// other services are not yet.
    fn fetch_checkpoint(&mut self, runner: &mut Runner, wanted: &WantedCheckpoint) -> HookResult {
        let _ = (runner, wanted);
        Ok(())
    }
    /// What must survive a resume; `None` (the default) saves nothing.
    fn save_state(&self) -> Option<HookState> {
        None
    }
    /// Takes back what [`Hook::save_state`] gave, perhaps from an older version of the hook.
    fn load_state(&mut self, state: HookState) -> HookResult {
        let _ = state;
        Ok(())
    }
}
