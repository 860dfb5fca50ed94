//! A hook as the host calls it, wherever it was compiled. Knows nothing of loading.

use super::context::HostContext;
use super::Services;
use crate::dispatch::HookType;
use crate::guard::GuardedHook;
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
    hook: GuardedHook,
    points: &'static [HookPoint],
    priority: Option<i64>,
}

impl NativeHook {
    /// Builds a hook from its keyword arguments, a JSON object without `type` and `priority`.
    ///
    /// Errors: all arguments that are wrong, in one message.
    pub fn construct<H: HookType>(kwargs: &Json) -> Result<NativeHook, HookError> {
        GuardedHook::construct::<H>(&kwargs.to_string()).map(NativeHook::guarded::<H>)
    }

    /// Wraps a hook that the host built itself.
    pub fn new<H: HookType>(hook: H) -> NativeHook {
        NativeHook::guarded::<H>(GuardedHook::new(hook))
    }

    fn guarded<H: HookType>(hook: GuardedHook) -> NativeHook {
        NativeHook { hook, points: H::POINTS, priority: H::PRIORITY }
    }
}

impl HookInstance for NativeHook {
    fn type_name(&self) -> &str {
        self.hook.type_name()
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
        let mut context = HostContext::new(host);
        let mut runner = context.native_runner(self.hook.type_name());
        self.hook.call(point, batch_idx, &mut runner)
    }

    fn save_state(&mut self) -> Result<Option<HookState>, HookError> {
        self.hook.save_state()
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.hook.load_state(state)
    }
}

#[cfg(test)]
mod tests {
    use super::{HookInstance, NativeHook};
    use crate::prelude::*;
    use crate::testing::FakeRunner;

    /// Panics at its third batch.
    #[derive(Kwargs)]
    struct Fragile {
        /// How many batches it takes.
        #[kwarg(default = 2, min = 1)]
        batches: u64,
        seen: u64,
    }

    #[hook(priority = "LOW")]
    impl Hook for Fragile {
        fn before_train_iter(&mut self, _: &mut Runner, batch: &Batch) -> HookResult {
            assert!(batch.batch_idx < self.batches, "too many batches");
            self.seen += 1;
            Ok(())
        }

        fn save_state(&self) -> Option<HookState> {
            Some(HookState { version: 1, data: json!({ "seen": self.seen }) })
        }
    }

    #[test]
    fn panicking_hook_is_disabled_and_says_so() {
        let mut run = FakeRunner::new();
        let mut hook = NativeHook::construct::<Fragile>(&json!({ "batches": 1 })).unwrap();
        assert_eq!(
            (hook.points(), hook.default_priority()),
            (&[HookPoint::BeforeTrainIter][..], Some(70))
        );
        assert!(hook.call(HookPoint::BeforeTrainIter, Some(0), &mut run).is_ok());
        assert_eq!(hook.save_state().unwrap().unwrap().data, json!({ "seen": 1 }));
        let error = hook.call(HookPoint::BeforeTrainIter, Some(1), &mut run).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (HookErrorKind::Panic, "too many batches")
        );
        let error = hook.call(HookPoint::BeforeTrainIter, Some(0), &mut run).unwrap_err();
        assert_eq!(error.message, "Fragile: disabled after a panic (too many batches)");
    }

    #[test]
    fn wrong_arguments_are_refused_together() {
        let error =
            NativeHook::construct::<Fragile>(&json!({ "batches": 0, "seen": 1 })).err().unwrap();
        assert_eq!(
            error.message,
            "Fragile.batches: expected an integer of at least 1, found 0\n\
             Fragile.seen: expected only batches, found an unknown argument"
        );
    }
}
