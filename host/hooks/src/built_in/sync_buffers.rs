//! Makes the buffers of all processes the same before they are used. Knows nothing of what buffers a model has.

use snaphook_plugin_api::prelude::*;

/// Replaces buffers, such as the running means of batch normalization, by their mean over all processes: at the end of
/// a training epoch, or before a validation that no end of an epoch came before. Does nothing in a single process.
///
/// Source: `mmengine/hooks/sync_buffer_hook.py`.
#[derive(Kwargs)]
pub struct SyncBuffersHook {
    is_done: bool,
}

#[hook]
impl Hook for SyncBuffersHook {
    fn before_val_epoch(&mut self, runner: &mut Runner) -> HookResult {
        if std::mem::take(&mut self.is_done) { Ok(()) } else { average(runner) }
    }

    fn after_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        self.is_done = true;
        average(runner)
    }
}

fn average(runner: &mut Runner) -> HookResult {
    if runner.distributed().world_size() > 1 {
        runner.distributed().average_buffers()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snaphook_plugin_api::testing::FakeRunner;

    /// How often buffers were averaged when these points were called.
    fn averaged(world_size: u64, points: &[HookPoint]) -> usize {
        let mut hook = SyncBuffersHook::from_kwargs("SyncBuffersHook", &json!({})).unwrap();
        let mut run = FakeRunner::new().world(0, world_size);
        for point in points {
            run.run_point(&mut hook, *point, None).unwrap();
        }
        run.calls_of("snaphook.distributed/1", "average_buffers").len()
    }

    #[test]
    fn buffers_are_averaged_once_for_an_epoch() {
        use HookPoint::{AfterTrainEpoch, BeforeValEpoch};
        assert_eq!(averaged(2, &[AfterTrainEpoch, BeforeValEpoch]), 1);
        assert_eq!(averaged(2, &[BeforeValEpoch, BeforeValEpoch]), 2);
        assert_eq!(averaged(2, &[AfterTrainEpoch, BeforeValEpoch, BeforeValEpoch]), 2);
        assert_eq!(averaged(1, &[AfterTrainEpoch, BeforeValEpoch]), 0);
    }
}
