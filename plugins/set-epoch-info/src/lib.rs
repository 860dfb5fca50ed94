//! `SetEpochInfoHook`: a model that does something else in later epochs hears which one begins. Knows nothing of what
//! the model does with it.
//!
//! Source: `mmdet/engine/hooks/set_epoch_info_hook.py`.

use snaphook_plugin_api::prelude::*;

/// Calls the model's method `set_epoch` with the number of each epoch, from 0, before it begins.
///
/// A model without that method ends the run, as in MMDetection.
#[derive(Kwargs)]
pub struct SetEpochInfoHook;

#[hook(cost_us = 100)]
impl Hook for SetEpochInfoHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let epoch = runner.epoch();
        runner.model().call("set_epoch", json!({ "epoch": epoch }))?;
        Ok(())
    }
}

export_plugin!(SetEpochInfoHook);

#[cfg(test)]
mod tests {
    use super::SetEpochInfoHook;
    use snaphook_plugin_api::host::ServiceError;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    #[test]
    fn the_model_hears_every_epoch_also_after_a_resume() {
        let mut run = FakeRunner::new().epoch(7);
        run.run_point(&mut SetEpochInfoHook, HookPoint::BeforeTrainEpoch, None).unwrap();
        let expected = json!({ "method": "set_epoch", "arguments": { "epoch": 7 } });
        assert_eq!(run.calls_of(ids::MODEL, "call"), [&expected]);
    }

    #[test]
    fn a_model_without_the_method_is_an_error() {
        let why = ServiceError::Failed("no method set_epoch".into());
        let mut run = FakeRunner::new().failure(ids::MODEL, "call", why);
        let error = run.run_point(&mut SetEpochInfoHook, HookPoint::BeforeTrainEpoch, None);
        assert!(error.unwrap_err().message.contains("no method set_epoch"));
    }
}
