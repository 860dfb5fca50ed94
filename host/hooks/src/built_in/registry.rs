//! The built-in hooks by name. A new one is a file and a line here.

use serde_json::Value as Json;
use snaphook_plugin_api::host::{HookInstance, HookType, NativeHook};
use snaphook_plugin_api::{HookError, HookPoint, HookResult, Kwargs};

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
    /// What is wrong with its kwargs beyond what the schema says; the message begins with the argument.
    pub check: fn(&Json) -> HookResult,
    /// Makes one from its kwargs.
    pub construct: fn(&Json) -> Result<Box<dyn HookInstance>, HookError>,
}

/// A hook whose arguments have rules between them.
pub(super) trait Checked: HookType + Kwargs {
    /// Looks at them, without a run.
    fn check(&self) -> HookResult;
}

fn checked<H: Checked>() -> BuiltIn {
    let check = |kwargs: &Json| H::from_kwargs(H::NAME, kwargs)?.check();
    let construct = |kwargs: &Json| {
        H::from_kwargs(H::NAME, kwargs)?.check()?;
        (entry::<H>().construct)(kwargs)
    };
    BuiltIn { check, construct, ..entry::<H>() }
}

fn entry<H: HookType>() -> BuiltIn {
    BuiltIn {
        name: H::NAME,
        summary: H::SUMMARY,
        kwargs_schema: H::KWARGS_SCHEMA,
        points: H::POINTS,
        priority: H::PRIORITY,
        check: |_| Ok(()),
        construct: |kwargs| Ok(Box::new(NativeHook::construct::<H>(kwargs)?)),
    }
}

/// All built-in hooks.
pub fn all() -> Vec<BuiltIn> {
    vec![
        entry::<RuntimeInfoHook>(),
        entry::<IterTimerHook>(),
        entry::<DistSamplerSeedHook>(),
        checked::<LoggerHook>(),
        entry::<ParamSchedulerHook>(),
        checked::<CheckpointHook>(),
        entry::<EMAHook>(),
        checked::<EarlyStoppingHook>(),
        entry::<SyncBuffersHook>(),
        entry::<EmptyCacheHook>(),
        checked::<ProfilerHook>(),
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
