//! A hook that no panic leaves, and that is not called again after one. Knows nothing of who calls it.

use crate::dispatch::{dispatch, HookType};
use crate::panics::guarded;
use crate::{Hook, HookError, HookErrorKind, HookPoint, HookResult, HookState, Runner};

/// A hook behind a guard against panics.
pub(crate) struct GuardedHook {
    hook: Box<dyn Hook>,
    type_name: &'static str,
    panicked: Option<String>,
}

impl GuardedHook {
    pub(crate) fn new<H: HookType>(hook: H) -> GuardedHook {
        GuardedHook { hook: Box::new(hook), type_name: H::NAME, panicked: None }
    }

    pub(crate) fn construct<H: HookType>(kwargs: &str) -> Result<GuardedHook, HookError> {
        guarded(|| H::construct(kwargs)).map(GuardedHook::new)
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn call(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        runner: &mut Runner<'_>,
    ) -> HookResult {
        self.guard(|hook| dispatch(hook, point, batch_idx, runner))
    }

    pub(crate) fn save_state(&mut self) -> Result<Option<HookState>, HookError> {
        self.guard(|hook| Ok(hook.save_state()))
    }

    pub(crate) fn load_state(&mut self, state: HookState) -> HookResult {
        self.guard(|hook| hook.load_state(state))
    }

    fn guard<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Hook) -> Result<T, HookError>,
    ) -> Result<T, HookError> {
        if let Some(why) = &self.panicked {
            let message = format!("{}: disabled after a panic ({why})", self.type_name);
            return Err(HookError::with_kind(HookErrorKind::Panic, message).at(None));
        }
        let hook = self.hook.as_mut();
        let result = guarded(|| work(hook));
        if let Err(error) = &result {
            if error.kind == HookErrorKind::Panic {
                self.panicked = Some(error.message.clone());
            }
        }
        result
    }
}
