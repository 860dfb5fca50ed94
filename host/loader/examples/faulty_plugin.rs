//! A plugin that does everything wrong that can be done wrong, when its mode says so. Built with the tests, as a `.so`;
//! knows nothing of the host.

use snaphook_plugin_api::prelude::*;

/// Panics, logs and fails where it is told to.
#[derive(Kwargs)]
struct FaultyHook {
    /// What goes wrong.
    #[kwarg(
        default = "nothing",
        choices(
            "nothing",
            "construct",
            "log",
            "tracing",
            "debug",
            "span",
            "thread-log",
            "thread-panic",
            "str",
            "string",
            "number",
            "grenade",
            "error",
            "save",
            "load",
            "drop"
        )
    )]
    mode: Mode,
}

/// A mode; `construct` panics while it is read.
struct Mode(String);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        assert!(text != "construct", "no construction today");
        Ok(Mode(text.to_owned()))
    }
}

/// A panic's payload that is no text, and that panics again when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("the payload went off");
    }
}

fn in_a_thread(work: impl FnOnce() + Send + 'static) {
    // The thread's own panic is what is tested.
    let _ = std::thread::spawn(work).join();
}

#[hook]
impl Hook for FaultyHook {
    fn before_train(&mut self, _: &mut Runner) -> HookResult {
        match self.mode.0.as_str() {
            "log" => log::warn!("from log {}", 1),
            "tracing" => tracing::warn!(answer = 42, "from tracing"),
            "debug" => {
                log::debug!("fine detail of log");
                tracing::debug!("fine detail of tracing");
            }
            "span" => tracing::info_span!("a span").in_scope(|| tracing::info!("within a span")),
            "thread-log" => in_a_thread(|| {
                log::warn!("from log in a thread");
                tracing::warn!("from tracing in a thread");
            }),
            "thread-panic" => in_a_thread(|| panic!("a thread gave up")),
            _ => {}
        }
        Ok(())
    }

    fn after_train_iter(&mut self, _: &mut Runner, step: &TrainStep) -> HookResult {
        match self.mode.0.as_str() {
            "str" => panic!("plain text"),
            "string" => panic!("batch {}", step.batch_idx),
            "number" => std::panic::panic_any(7_u32),
            "grenade" => std::panic::panic_any(Grenade),
            "error" => Err(HookError::new("a mere error")),
            _ => Ok(()),
        }
    }

    fn save_state(&self) -> Option<HookState> {
        assert!(self.mode.0 != "save", "nothing to save");
        None
    }

    fn load_state(&mut self, _: HookState) -> HookResult {
        assert!(self.mode.0 != "load", "cannot remember");
        Ok(())
    }
}

impl Drop for FaultyHook {
    fn drop(&mut self) {
        assert!(self.mode.0 != "drop", "does not want to go");
    }
}

export_plugin!(FaultyHook);
