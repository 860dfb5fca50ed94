//! A hook as the host calls it, wherever it was compiled. Knows nothing of loading.

use super::context::HostContext;
use super::Services;
use crate::dispatch::{dispatch, HookType};
use crate::panics::guarded;
use crate::{HookError, HookPoint, HookResult, HookState};
use serde_json::Value as Json;
use std::path::PathBuf;

/// Where a hook came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookSource {
    /// It is part of the host.
    BuiltIn,
    /// It came out of a file.
    Plugin {
        /// Name of the plugin.
        name: String,
        /// Version of the plugin.
        version: String,
        /// The file.
        path: PathBuf,
    },
}

/// A hook as the host calls it; built-in ones and those of plugins look the same.
pub trait HookInstance {
    /// The name that the config gave as `type`, without a plugin's name before it.
    fn type_name(&self) -> &str;
    /// Where it came from.
    fn source(&self) -> &HookSource;
    /// The points at which it wants to be called.
    fn points(&self) -> &[HookPoint];
    /// The priority that its author chose, if any.
    fn default_priority(&self) -> Option<i64>;
    /// Calls it at a point. `batch_idx` is given at the points of single batches.
    ///
    /// Errors: the hook's own, or that it panicked; after a panic every call answers so.
    fn call(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut dyn Services,
    ) -> HookResult;
    /// What must survive a resume.
    fn save_state(&mut self) -> Result<Option<HookState>, HookError>;
    /// Gives back what [`HookInstance::save_state`] gave.
    fn load_state(&mut self, state: HookState) -> HookResult;
}

/// A hook that was compiled into the host.
pub struct NativeHook {
    hook: Box<dyn crate::Hook>,
    type_name: &'static str,
    points: &'static [HookPoint],
    priority: Option<i64>,
    panicked: Option<String>,
}

impl NativeHook {
    /// Builds a hook from its keyword arguments, a JSON object without `type` and `priority`.
    ///
    /// Errors: all arguments that are wrong, in one message.
    pub fn construct<H: HookType>(kwargs: &Json) -> Result<NativeHook, HookError> {
        let kwargs = kwargs.to_string();
        Ok(NativeHook::new(guarded(|| H::construct(&kwargs))?))
    }

    /// Wraps a hook that the host built itself.
    pub fn new<H: HookType>(hook: H) -> NativeHook {
        NativeHook {
            hook: Box::new(hook),
            type_name: H::NAME,
            points: H::POINTS,
            priority: H::PRIORITY,
            panicked: None,
        }
    }

    fn guard<T>(
        &mut self,
        work: impl FnOnce(&mut dyn crate::Hook) -> Result<T, HookError>,
    ) -> Result<T, HookError> {
        if let Some(why) = &self.panicked {
            return Err(crate::panics::disabled(self.type_name, why));
        }
        let hook = self.hook.as_mut();
        let result = guarded(|| work(hook));
        if let Err(error) = &result {
            if error.kind == crate::HookErrorKind::Panic {
                self.panicked = Some(error.message.clone());
            }
        }
        result
    }
}

impl HookInstance for NativeHook {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn source(&self) -> &HookSource {
        &HookSource::BuiltIn
    }

    fn points(&self) -> &[HookPoint] {
        self.points
    }

    fn default_priority(&self) -> Option<i64> {
        self.priority
    }

    fn call(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut dyn Services,
    ) -> HookResult {
        let target = self.type_name;
        let mut context = HostContext::new(host);
        let mut runner = context.native_runner(target);
        self.guard(|hook| dispatch(hook, point, batch_idx, &mut runner))
    }

    fn save_state(&mut self) -> Result<Option<HookState>, HookError> {
        self.guard(|hook| Ok(hook.save_state()))
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.guard(|hook| hook.load_state(state))
    }
}
