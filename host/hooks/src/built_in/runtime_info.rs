//! Puts what is known about the run into its messages: learning rates, losses, metrics.
//! Knows nothing of how they are shown.

use snaphook_plugin_api::prelude::*;

/// Records learning rates before each iteration, the outputs of each step, and metrics.
///
/// Source: `mmengine/hooks/runtime_info_hook.py`; losses stay on their device until somebody reads them.
#[derive(Kwargs)]
pub struct RuntimeInfoHook {
    has_base_rate: bool,
}

#[hook(priority = "VERY_HIGH")]
impl Hook for RuntimeInfoHook {
    fn before_run(&mut self, runner: &mut Runner) -> HookResult {
        let info = runner.run().info()?;
        runner.messages().set_info("seed", info.seed.into())?;
        runner.messages().set_info("experiment_name", info.experiment_name.into())?;
        runner.messages().set_info("snaphook_version", info.version.into())?;
        Ok(())
    }

    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.has_base_rate = runner.optimizer().groups()?.len() > 1;
        runner.messages().set_info("max_epochs", runner.max_epochs().into())?;
        runner.messages().set_info("max_iters", runner.max_iters().into())?;
        let meta = runner.data().meta("train")?;
        runner.messages().set_info("dataset_meta", meta)?;
        Ok(())
    }

    fn before_train_iter(&mut self, runner: &mut Runner, _: &Batch) -> HookResult {
        if self.has_base_rate {
            let rate = runner.call("snaphook.optimizer/1", "base_lr", Json::Null)?;
            runner.messages().add("train/base_lr", rate.as_f64().unwrap_or(f64::NAN));
        }
        if let Some(rate) = runner.learning_rate() {
            runner.messages().add("train/lr", rate);
        }
        Ok(())
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        for name in step.outputs.names() {
            if let Some(tensor) = step.outputs.tensor(&name) {
                runner.messages().add_tensor(&format!("train/{name}"), tensor);
            }
        }
        Ok(())
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        record(runner, "val", metrics);
        Ok(())
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        record(runner, "test", metrics);
        Ok(())
    }
}

fn record(runner: &mut Runner, stage: &str, metrics: &Metrics) {
    for (name, value) in metrics.iter() {
        runner.messages().add(&format!("{stage}/{name}"), value);
    }
}
