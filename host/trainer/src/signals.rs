//! Signals that ask a run to end in good order. Knows nothing of what the run does about it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use snaphook_runner::Interrupt;

/// From now on SIGTERM, SIGUSR1 (what SLURM sends before the time is up) and the first Ctrl-C ask the run to save and end;
/// a second Ctrl-C ends the process at once.
pub(crate) fn catch() -> Interrupt {
    let interrupt = Interrupt::default();
    let is_second = Arc::new(AtomicBool::new(false));
    // Each of these fails only for signals that cannot be caught, and these can be. In the order of this list, a first
    // Ctrl-C sets the flag that a second one finds.
    let _ = flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, Arc::clone(&is_second));
    let _ = flag::register(SIGINT, is_second);
    for signal in [SIGTERM, SIGUSR1, SIGINT] {
        let _ = flag::register_usize(signal, interrupt.flag(), signal as usize);
    }
    interrupt
}
