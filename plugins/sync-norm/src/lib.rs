//! `SyncNormHook`: before a validation all processes hold the same normalization state. Knows nothing of
//! how processes talk.
//!
//! Source: `mmdet/engine/hooks/sync_norm_hook.py`.

use snaphook_plugin_api::prelude::*;

/// Averages the state of normalization layers over all processes before each validation.
#[derive(Kwargs)]
pub struct SyncNormHook;

#[hook(cost_us = 100)]
impl Hook for SyncNormHook {
    fn before_val_epoch(&mut self, runner: &mut Runner) -> HookResult {
        if runner.distributed().world_size() > 1 {
            runner.distributed().average_norm_state()?;
        }
        Ok(())
    }
}

export_plugin!(SyncNormHook);

#[cfg(test)]
mod tests {
    use super::SyncNormHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;

    fn averaged(world_size: u64) -> usize {
        let mut run = FakeRunner::new().world(0, world_size);
        run.run_point(&mut SyncNormHook, HookPoint::BeforeValEpoch, None).unwrap();
        run.calls_of(ids::DISTRIBUTED, "average_norm_state").len()
    }

    #[test]
    fn one_process_averages_nothing() {
        assert_eq!(averaged(1), 0);
    }

    #[test]
    fn several_processes_average_once() {
        assert_eq!(averaged(2), 1);
    }
}
