//! Measures how long iterations and the waits for data take. Knows nothing of how it is shown.

use std::time::Instant;

use snaphook_plugin_api::prelude::*;

/// Records `time` and `data_time` of every iteration, and the time that is left.
///
/// Units: seconds. Source: `mmengine/hooks/iter_timer_hook.py`; the estimate is a mean over the
/// iterations since this process started.
#[derive(Kwargs)]
pub struct IterTimerHook {
    mark: Option<Instant>,
    first_iter: u64,
    train_seconds: f64,
    eval_seconds: f64,
}

impl IterTimerHook {
    fn start(&mut self) {
        self.mark = Some(Instant::now());
    }

    fn elapsed(&self) -> f64 {
        self.mark.map_or(0.0, |mark| mark.elapsed().as_secs_f64())
    }

    fn finish_eval(&mut self, runner: &mut Runner, key: &str, batch_idx: u64) -> HookResult {
        let time = self.elapsed();
        self.start();
        runner.messages().add(key, time);
        self.eval_seconds += time;
        let done = batch_idx + 1;
        let left = runner.epoch_length().saturating_sub(done);
        let eta = self.eval_seconds / done as f64 * left as f64;
        Ok(runner.messages().set_info("eta", eta.into())?)
    }
}

#[hook]
impl Hook for IterTimerHook {
    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.first_iter = runner.iter();
        Ok(())
    }

    fn before_train_epoch(&mut self, _: &mut Runner) -> HookResult {
        self.start();
        Ok(())
    }

    fn before_train_iter(&mut self, runner: &mut Runner, _: &Batch) -> HookResult {
        runner.messages().add("train/data_time", self.elapsed());
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        let time = self.elapsed();
        self.start();
        runner.messages().add("train/time", time);
        self.train_seconds += time;
        let done = runner.iter() - self.first_iter + 1;
        let left = runner.max_iters().saturating_sub(runner.iter() + 1);
        let eta = self.train_seconds / done as f64 * left as f64;
        Ok(runner.messages().set_info("eta", eta.into())?)
    }

    fn before_val_epoch(&mut self, _: &mut Runner) -> HookResult {
        self.eval_seconds = 0.0;
        self.start();
        Ok(())
    }

    fn before_val_iter(&mut self, runner: &mut Runner, _: &Batch) -> HookResult {
        runner.messages().add("val/data_time", self.elapsed());
        Ok(())
    }

    fn after_val_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.finish_eval(runner, "val/time", step.batch_idx)
    }

    fn before_test_epoch(&mut self, _: &mut Runner) -> HookResult {
        self.eval_seconds = 0.0;
        self.start();
        Ok(())
    }

    fn before_test_iter(&mut self, runner: &mut Runner, _: &Batch) -> HookResult {
        runner.messages().add("test/data_time", self.elapsed());
        Ok(())
    }

    fn after_test_iter(&mut self, runner: &mut Runner, step: &EvalStep) -> HookResult {
        self.finish_eval(runner, "test/time", step.batch_idx)
    }
}
