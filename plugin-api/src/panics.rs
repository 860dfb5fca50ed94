//! A panic becomes an error of the hook, here and nowhere else. Knows nothing of the ABI.

use crate::error::Location;
use crate::{HookError, HookErrorKind};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};

thread_local! {
    /// Where the last panic of this thread happened, as the panic hook saw it.
    static LAST: RefCell<Option<(Location, Option<String>)>> = const { RefCell::new(None) };
    /// How many guarded calls this thread is in.
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Runs `work`; a panic comes back as an error of kind [`HookErrorKind::Panic`].
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, HookError>) -> Result<T, HookError> {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    match result {
        Ok(result) => result,
        Err(payload) => Err(error(payload)),
    }
}

fn error(payload: Box<dyn Any + Send>) -> HookError {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned());
    // Dropping a payload of the author's own type may panic again.
    std::mem::forget(payload);
    let (location, backtrace) = match LAST.with(|last| last.borrow_mut().take()) {
        Some((location, backtrace)) => (Some(location), backtrace),
        None => (None, None),
    };
    let mut error = HookError::with_kind(HookErrorKind::Panic, text).at(location);
    error.backtrace = backtrace;
    error
}

/// Makes the panics of guarded calls silent and remembers their places. For the `.so` of a plugin, which has a
/// panic hook of its own; a host keeps its panic hook.
pub(crate) fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if DEPTH.with(|depth| depth.get()) == 0 {
            // A thread of the plugin's own: nobody is there to take an error.
            if !crate::log_bridge::report(&info.to_string()) {
                before(info);
            }
            return;
        }
        let location = info
            .location()
            .map(|place| Location { file: place.file().to_owned(), line: place.line() });
        let wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        let backtrace = wanted.then(|| std::backtrace::Backtrace::force_capture().to_string());
        if let Some(location) = location {
            LAST.with(|last| *last.borrow_mut() = Some((location, backtrace)));
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::guarded;
    use crate::{HookError, HookErrorKind};

    #[test]
    fn panic_becomes_an_error_with_its_text() {
        let error = guarded::<()>(|| panic!("no batch {}", 3)).unwrap_err();
        assert_eq!(error.kind, HookErrorKind::Panic);
        assert_eq!(error.message, "no batch 3");
        let error = guarded::<()>(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(error.message, "a panic without text");
        assert_eq!(guarded(|| Ok::<_, HookError>(1)), Ok(1));
    }
}
