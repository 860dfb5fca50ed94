//! Gives cached device memory back to the system. Knows nothing of which device there is.

use snaphook_plugin_api::prelude::*;

/// Gives the memory that the device's allocator keeps for later back to the system, after each epoch by default.
/// Nothing to do on a CPU.
///
/// Source: `mmengine/hooks/empty_cache_hook.py`.
#[derive(Kwargs)]
pub struct EmptyCacheHook {
    /// Before each epoch of training, validation and test.
    #[kwarg(default = false)]
    before_epoch: bool,
    /// After each epoch.
    #[kwarg(default = true)]
    after_epoch: bool,
    /// After each iteration.
    #[kwarg(default = false)]
    after_iter: bool,
}

/// A host that cannot do it says so once, since equal warnings are shown once; the run is none the worse for it.
fn empty_if(is_wanted: bool, runner: &mut Runner) -> HookResult {
    if !is_wanted {
        return Ok(());
    }
    match runner.device().empty_cache() {
        Err(ServiceError::Unsupported(_)) => {
            runner.warn("this version cannot empty the cache of the device: the hook does nothing");
            Ok(())
        }
        result => Ok(result?),
    }
}

#[hook]
impl Hook for EmptyCacheHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        empty_if(self.before_epoch, runner)
    }

    fn before_val_epoch(&mut self, runner: &mut Runner) -> HookResult {
        empty_if(self.before_epoch, runner)
    }

    fn before_test_epoch(&mut self, runner: &mut Runner) -> HookResult {
        empty_if(self.before_epoch, runner)
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        empty_if(self.after_epoch, runner)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        empty_if(self.after_epoch, runner)
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, _: &Metrics) -> HookResult {
        empty_if(self.after_epoch, runner)
    }

    fn after_train_iter(&mut self, runner: &mut Runner, _: &TrainStep) -> HookResult {
        empty_if(self.after_iter, runner)
    }

    fn after_val_iter(&mut self, runner: &mut Runner, _: &EvalStep) -> HookResult {
        empty_if(self.after_iter, runner)
    }

    fn after_test_iter(&mut self, runner: &mut Runner, _: &EvalStep) -> HookResult {
        empty_if(self.after_iter, runner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snaphook_plugin_api::testing::FakeRunner;

    const POINTS: [HookPoint; 9] = [
        HookPoint::BeforeTrainEpoch,
        HookPoint::BeforeValEpoch,
        HookPoint::BeforeTestEpoch,
        HookPoint::AfterTrainEpoch,
        HookPoint::AfterValEpoch,
        HookPoint::AfterTestEpoch,
        HookPoint::AfterTrainIter,
        HookPoint::AfterValIter,
        HookPoint::AfterTestIter,
    ];

    #[test]
    fn the_cache_is_emptied_where_it_was_asked_for() {
        for (kwargs, expected) in [
            (json!({}), 3),
            (json!({ "after_epoch": false }), 0),
            (json!({ "before_epoch": true }), 6),
            (json!({ "after_iter": true }), 6),
        ] {
            let mut hook = EmptyCacheHook::from_kwargs("EmptyCacheHook", &kwargs).unwrap();
            let mut run = FakeRunner::new();
            for point in POINTS {
                run.run_point(&mut hook, point, Some(0)).unwrap();
            }
            assert_eq!(run.calls_of("snaphook.device/1", "empty_cache").len(), expected);
        }
    }

    #[test]
    fn a_host_that_cannot_is_a_warning() {
        let error = ServiceError::Unsupported("snaphook.device/1 empty_cache".into());
        let mut run = FakeRunner::new().failure("snaphook.device/1", "empty_cache", error);
        let mut hook = EmptyCacheHook::from_kwargs("EmptyCacheHook", &json!({})).unwrap();
        run.run_point(&mut hook, HookPoint::AfterTrainEpoch, None).unwrap();
        assert!(run.logged()[0].contains("does nothing"));
    }
}
