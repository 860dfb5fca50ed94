//! Keeps an average of the weights and validates with it. Knows nothing of how the average is computed.

use serde_json::json;
use snaphook_plugin_api::prelude::*;

/// Averages the weights over the run; validation, test and checkpoints use the average.
///
/// In a checkpoint the model's weights are the averaged ones, and the raw training weights lie beside
/// them, so that a resumed run goes on exactly.
///
/// Source: `mmengine/hooks/ema_hook.py`, `mmdet/models/layers/ema.py`.
#[derive(Kwargs)]
pub struct EMAHook {
    /// The kind of average.
    #[kwarg(
        default = "ExponentialMovingAverage",
        choices(
            "ExponentialMovingAverage",
            "mmengine.ExponentialMovingAverage",
            "ExpMomentumEMA",
            "mmdet.ExpMomentumEMA",
            "MomentumAnnealingEMA",
            "mmengine.MomentumAnnealingEMA",
            "StochasticWeightAverage",
            "mmengine.StochasticWeightAverage"
        )
    )]
    ema_type: String,
    /// Weight of the newest values, 0.0002 without it; StochasticWeightAverage has none.
    #[kwarg(min = 0.0, max = 1.0)]
    momentum: Option<f64>,
    /// Updates over which the momentum falls to its final value: ExpMomentumEMA (2000 without it), MomentumAnnealingEMA
    /// (100).
    #[kwarg(min = 1)]
    gamma: Option<u64>,
    /// Iterations between updates.
    #[kwarg(default = 1, min = 1)]
    interval: u64,
    /// Whether buffers (running means) are averaged too; otherwise they are copied.
    #[kwarg(default = false)]
    update_buffers: bool,
    /// Taken for MMEngine's configs: the average is where the model is.
    #[kwarg]
    #[expect(dead_code)]
    device: Option<String>,
    /// Taken for MMEngine's configs: a resume always wants an average for every tensor.
    #[kwarg(default = false)]
    #[expect(dead_code)]
    strict_load: bool,
    /// The first iteration that is averaged.
    #[kwarg(default = 0)]
    begin_iter: u64,
    /// The first epoch that is averaged; not together with `begin_iter`.
    #[kwarg(default = 0)]
    begin_epoch: u64,
}

impl EMAHook {
    fn has_started(&self, runner: &Runner) -> bool {
        if self.begin_epoch > 0 {
            runner.epoch() + 1 >= self.begin_epoch
        } else {
            runner.iter() + 1 >= self.begin_iter
        }
    }
}

#[hook]
impl Hook for EMAHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        if self.begin_iter > 0 && self.begin_epoch > 0 {
            return Err(HookError::fatal(
                "begin_iter and begin_epoch are both set, give one of them",
            ));
        }
        for (name, begin, most, unit) in [
            ("begin_epoch", self.begin_epoch, runner.max_epochs(), "epochs"),
            ("begin_iter", self.begin_iter, runner.max_iters(), "iterations"),
        ] {
            // A test has no length.
            if begin > most && most > 0 {
                let text =
                    format!("{name}: expected at most the run's {most} {unit}, found {begin}");
                return Err(HookError::fatal(text));
            }
        }
        // A number that the kind does not know is refused by its name.
        let mut options = json!({
            "type": self.ema_type,
            "interval": self.interval,
            "update_buffers": self.update_buffers,
        });
        for (name, value) in [("momentum", json!(self.momentum)), ("gamma", json!(self.gamma))] {
            if !value.is_null() {
                options[name] = value;
            }
        }
        Ok(runner.averaging().create(options)?)
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        let started = self.has_started(runner);
        Ok(runner.averaging().update(json!({ "started": started }))?)
    }

    fn before_val_epoch(&mut self, runner: &mut Runner) -> HookResult {
        Ok(runner.averaging().swap()?)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        Ok(runner.averaging().swap()?)
    }

    fn before_test_epoch(&mut self, runner: &mut Runner) -> HookResult {
        Ok(runner.averaging().swap()?)
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        Ok(runner.averaging().swap()?)
    }
}
