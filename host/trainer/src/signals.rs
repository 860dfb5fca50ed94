//! Signals that ask a run to end in good order. Knows nothing of what the run does about it.

use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use snaphook_runner::Interrupt;

/// From now on SIGTERM, SIGHUP (the end of a terminal, unless `nohup` has it ignored), SIGUSR1 (what SLURM sends before the
/// time is up) and the first Ctrl-C ask the run to save and end; a second Ctrl-C, half a second later or more, ends the
/// process at once. `snaphook` or its launcher held them back until now, so that none is lost while this program was loaded.
/// Called again, it gives the same.
pub(crate) fn catch() -> Interrupt {
    static CAUGHT: OnceLock<Interrupt> = OnceLock::new();
    CAUGHT.get_or_init(install).clone()
}

fn install() -> Interrupt {
    let interrupt = Interrupt::default();
    // Each of these fails only for signals that cannot be caught, and these can be.
    let end_of_terminal = Some(SIGHUP).filter(|signal| !snaphook_cli::is_ignored(*signal));
    for signal in [SIGTERM, SIGUSR1, SIGINT].into_iter().chain(end_of_terminal) {
        let _ = flag::register_usize(signal, interrupt.flag(), signal as usize);
    }
    snaphook_cli::end_at_second_interrupt();
    // It asks for nothing here, and must not end a run that a launcher passes it on to.
    let _ = flag::register(SIGUSR2, Arc::default());
    // A file beyond `ulimit -f` is then an error of writing it, told by its name, as on a full disk.
    let _ = flag::register(SIGXFSZ, Arc::default());
    // Fails for sets that are none, and this one is.
    let _ = snaphook_cli::asking_signals().thread_unblock();
    interrupt
}
