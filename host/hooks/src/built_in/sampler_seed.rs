//! Tells the sampler which epoch begins, so that every epoch is shuffled differently.

use snaphook_plugin_api::prelude::*;

/// Sets the sampler's epoch; without this hook each epoch has the same order.
///
/// Source: `mmengine/hooks/sampler_seed_hook.py`.
#[derive(Kwargs)]
pub struct DistSamplerSeedHook {}

#[hook]
impl Hook for DistSamplerSeedHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let epoch = runner.epoch();
        Ok(runner.data().set_epoch(epoch)?)
    }
}
