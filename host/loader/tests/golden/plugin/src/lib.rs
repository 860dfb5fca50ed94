//! What a plugin of plugin-api 1.0 could do: arguments, state, counters, log, scalars, tensors, services, errors, panics.

use snaphook_plugin_api::prelude::*;

/// Sums the loss, and does what its mode says.
#[derive(Kwargs)]
struct GoldenHook {
    /// Every this many training iterations.
    #[kwarg(default = 2, min = 1)]
    interval: u64,
    /// What it does when it is due.
    #[kwarg(default = "sum", choices("sum", "error", "panic"))]
    mode: String,
    sum: f64,
}

#[hook(priority = "LOW")]
impl Hook for GoldenHook {
    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        let seed = runner.run().info()?.seed;
        runner.info(&format!("golden: seed {seed:?}"));
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        match self.mode.as_str() {
            "error" => return Err(HookError::fatal("golden error")),
            "panic" => panic!("golden panic"),
            _ => {}
        }
        self.sum += step.outputs.value("loss")?;
        runner.messages().add("train/golden", self.sum);
        Ok(())
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        if metrics.get("mAP").is_some_and(|value| value > 0.5) {
            runner.control().stop("golden is content")?;
        }
        Ok(())
    }

    fn save_state(&self) -> Option<HookState> {
        Some(HookState { version: 1, data: json!({ "sum": self.sum }) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.sum = state.data["sum"].as_f64().ok_or("golden: expected a sum")?;
        Ok(())
    }
}

export_plugin!(GoldenHook);
