//! Tells the sampler which epoch begins, so that every epoch is shuffled differently.

use snaphook_plugin_api::prelude::*;

/// Sets the sampler's epoch.
///
/// Source: `mmengine/hooks/sampler_seed_hook.py`. Better here: epochs have different orders without this hook as well, where
/// MMEngine's all have the first one's.
#[derive(Kwargs)]
pub struct DistSamplerSeedHook {}

#[hook]
impl Hook for DistSamplerSeedHook {
    fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
        let epoch = runner.epoch();
        Ok(runner.data().set_epoch(epoch)?)
    }
}
