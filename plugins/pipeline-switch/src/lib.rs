//! `PipelineSwitchHook`: from an epoch on, pictures are prepared in another way. Knows nothing of transforms.
//!
//! Source: `mmdet/engine/hooks/pipeline_switch_hook.py`. Where we differ: the pipeline is replaced through all wrappers
//! of the data set (`RepeatDataset`, `ConcatDataset`, …), where MMDetection's sets an attribute of the outermost one that
//! nobody reads; and the loader's threads take the new one up with the next epoch, so no process is restarted.

use snaphook_plugin_api::prelude::*;

/// Replaces the training pipeline before epoch `switch_epoch`, once.
#[derive(Kwargs)]
pub struct PipelineSwitchHook {
    /// The first epoch, counted from 0, with the other pipeline.
    #[kwarg(required, min = 0)]
    switch_epoch: u64,
    /// The transforms of the other pipeline.
    #[kwarg(required, component = "transform")]
    switch_pipeline: Vec<Json>,
    is_switched: bool,
}

#[hook(cost_us = 100)]
impl Hook for PipelineSwitchHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        // Not saved: a run that is resumed later than the switch must switch again.
        if self.is_switched || runner.epoch() < self.switch_epoch {
            return Ok(());
        }
        runner.info("Switch pipeline now!");
        runner.data().set_pipeline(Json::Array(self.switch_pipeline.clone()))?;
        self.is_switched = true;
        Ok(())
    }
}

export_plugin!(PipelineSwitchHook);

#[cfg(test)]
mod tests {
    use super::PipelineSwitchHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn begin_epochs(epochs: std::ops::Range<u64>) -> FakeRunner {
        let kwargs =
            json!({ "switch_epoch": 280, "switch_pipeline": [{ "type": "PackDetInputs" }] });
        let mut hook = PipelineSwitchHook::from_kwargs("PipelineSwitchHook", &kwargs).unwrap();
        let mut run = FakeRunner::new().max_epochs(300);
        for epoch in epochs {
            run.set_progress(|progress| progress.epoch = epoch);
            run.run_point(&mut hook, HookPoint::BeforeTrainEpoch, None).unwrap();
        }
        run
    }

    #[test]
    fn the_pipeline_is_replaced_once_at_its_epoch() {
        assert!(begin_epochs(0..280).calls().is_empty());
        let run = begin_epochs(278..300);
        let expected = json!({ "pipeline": [{ "type": "PackDetInputs" }] });
        assert_eq!(run.calls_of(ids::DATA, "set_pipeline"), [&expected]);
        assert_eq!(run.logged(), ["Switch pipeline now!"]);
    }

    #[test]
    fn a_run_that_is_resumed_later_switches_too() {
        assert_eq!(begin_epochs(295..296).calls().len(), 1);
    }

    #[test]
    fn both_arguments_are_needed() {
        let error = PipelineSwitchHook::from_kwargs("PipelineSwitchHook", &json!({}));
        let message = error.err().unwrap().message;
        assert!(
            message.contains("switch_epoch") && message.contains("switch_pipeline"),
            "{message}"
        );
    }
}
