//! The built-in hooks by name. A new one is a file and a line here.

use snaphook_plugin_api::HookError;
use snaphook_plugin_api::host::{HookInstance, HookType, NativeHook};

use super::{
    CheckpointHook, DistSamplerSeedHook, EMAHook, IterTimerHook, LoggerHook, ParamSchedulerHook,
    RuntimeInfoHook,
};

/// A built-in hook: how it is called and how one is made.
pub struct BuiltIn {
    /// Type name in configs.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// JSON schema of its kwargs.
    pub kwargs_schema: &'static str,
    /// Makes one from its kwargs as JSON text.
    pub construct: fn(&str) -> Result<Box<dyn HookInstance>, HookError>,
}

fn entry<H: HookType + 'static>() -> BuiltIn {
    BuiltIn {
        name: H::NAME,
        summary: H::SUMMARY,
        kwargs_schema: H::KWARGS_SCHEMA,
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
    ]
}

/// The built-in hook of this plain name.
pub fn find(name: &str) -> Option<BuiltIn> {
    all().into_iter().find(|hook| hook.name == name)
}
