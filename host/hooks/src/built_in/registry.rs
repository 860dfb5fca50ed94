//! The built-in hooks by name. A new one is a file and a line here.

use serde_json::Value as Json;
use snaphook_plugin_api::host::{HookInstance, HookType, NativeHook};
use snaphook_plugin_api::{HookError, HookPoint};

use super::{
    CheckpointHook, DistSamplerSeedHook, EMAHook, EarlyStoppingHook, EmptyCacheHook, IterTimerHook,
    LoggerHook, ParamSchedulerHook, ProfilerHook, RuntimeInfoHook, SyncBuffersHook,
};

/// A built-in hook: how it is called and how one is made.
pub struct BuiltIn {
    /// Type name in configs.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// JSON schema of its kwargs.
    pub kwargs_schema: &'static str,
    /// The points at which it is called.
    pub points: &'static [HookPoint],
    /// Its priority when the config says none.
    pub priority: Option<i64>,
    /// Makes one from its kwargs.
    pub construct: fn(&Json) -> Result<Box<dyn HookInstance>, HookError>,
}

fn entry<H: HookType + 'static>() -> BuiltIn {
    BuiltIn {
        name: H::NAME,
        summary: H::SUMMARY,
        kwargs_schema: H::KWARGS_SCHEMA,
        points: H::POINTS,
        priority: H::PRIORITY,
        construct: |kwargs| Ok(Box::new(NativeHook::construct::<H>(kwargs)?)),
    }
}

/// All built-in hooks.
pub fn all() -> Vec<BuiltIn> {
    vec![
        entry::<RuntimeInfoHook>(),
        entry::<IterTimerHook>(),
        entry::<DistSamplerSeedHook>(),
        entry::<LoggerHook>(),
        entry::<ParamSchedulerHook>(),
        entry::<CheckpointHook>(),
        entry::<EMAHook>(),
        entry::<EarlyStoppingHook>(),
        entry::<SyncBuffersHook>(),
        entry::<EmptyCacheHook>(),
        entry::<ProfilerHook>(),
    ]
}

/// The built-in hook of this plain name.
pub fn find(name: &str) -> Option<BuiltIn> {
    all().into_iter().find(|hook| hook.name == name)
}

/// Whether a built-in hook has this plain name.
pub fn is_built_in(name: &str) -> bool {
    all().iter().any(|hook| hook.name == name)
}
