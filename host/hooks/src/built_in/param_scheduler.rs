//! Steps the learning rate schedules. Knows nothing of their formulas.

use snaphook_plugin_api::prelude::*;

/// Steps iteration-based schedules after each iteration, epoch-based ones after each epoch, and those that follow a
/// metric after each validation.
///
/// Source: `mmengine/hooks/param_scheduler_hook.py`.
#[derive(Kwargs)]
pub struct ParamSchedulerHook {}

#[hook(priority = "LOW")]
impl Hook for ParamSchedulerHook {
    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        Ok(runner.schedule().step(ScheduleUnit::Iteration)?)
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        Ok(runner.schedule().step(ScheduleUnit::Epoch)?)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        Ok(runner.schedule().step_with_metrics(metrics)?)
    }
}
