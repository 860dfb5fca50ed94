//! Signals that the launcher passes on, as a queue. Knows nothing of ranks.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

use crate::LaunchError;

/// Ctrl-C.
pub(crate) const INTERRUPT: i32 = SIGINT;

/// Whether a program that is sent this signal is to end; SIGUSR2 means whatever a program takes it for.
pub(crate) fn asks_for_an_end(signal: i32) -> bool {
    signal != SIGUSR2
}

/// Whether ranks save when they are sent this signal, and the job is to go on later.
pub(crate) fn asks_to_save(signal: i32) -> bool {
    [SIGTERM, SIGUSR1, SIGHUP].contains(&signal)
}

/// Whether only people send this signal, who want a program to end and not to begin again: Ctrl-C, and Ctrl-\. What guards a
/// machine's memory sends others.
pub(crate) fn is_sent_by_people(signal: i32) -> bool {
    [SIGINT, SIGQUIT].contains(&signal)
}

/// Catches signals while it lives.
pub(crate) struct Caught {
    queue: Receiver<i32>,
    handle: Handle,
    /// How often Ctrl-C came.
    interrupts: Cell<u32>,
}

impl Caught {
    pub(crate) fn start() -> Result<Caught, LaunchError> {
        let what = "signals cannot be caught";
        let failed = |source| LaunchError::System { what, source };
        let always = [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD];
        // `nohup` has a terminal's end ignored, and so it stays.
        let ends = [SIGHUP, SIGQUIT].into_iter().filter(|signal| !is_ignored(*signal));
        let mut signals = Signals::new(always.into_iter().chain(ends)).map_err(failed)?;
        let (handle, (sender, queue)) = (signals.handle(), channel());
        let listen = move || {
            for signal in &mut signals {
                if sender.send(signal).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(Caught { queue, handle, interrupts: Cell::new(0) })
    }

    /// The next signal to pass on, or `None` after a moment, or after a child ended.
    pub(crate) fn next(&self, pause: Duration) -> Option<i32> {
        match self.queue.recv_timeout(pause) {
            Ok(SIGCHLD) | Err(RecvTimeoutError::Timeout) => None,
            Ok(signal) => {
                self.interrupts.update(|count| count + u32::from(signal == SIGINT));
                Some(signal)
            }
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(pause);
                None
            }
        }
    }

    /// Whether Ctrl-C came a second time.
    pub(crate) fn is_impatient(&self) -> bool {
        self.interrupts.get() > 1
    }
}

/// Runs this, which starts processes; these signals wait in them until they unblock them.
pub(crate) fn holding_back<T>(signals: &SigSet, start: impl FnOnce() -> T) -> T {
    // Both fail for sets that are none, and these are.
    let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let started = start();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    started
}

/// All that a launcher passes on.
pub(crate) fn passed_on() -> SigSet {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2].into_iter().collect()
}

/// Whether whoever started this process had it ignore this signal, as `nohup` does with SIGHUP; `false` where the system
/// does not tell.
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).contains(&signal) && mask >> (signal - 1) & 1 == 1
}

impl Drop for Caught {
    fn drop(&mut self) {
        self.handle.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The signals that a process is started with blocked, as bits.
    fn blocked_in_child() -> u64 {
        let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    }

    #[test]
    fn signals_wait_in_what_is_started_meanwhile_and_in_nothing_else() {
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGUSR2].into_iter().collect();
        let before = blocked_in_child();
        let both = 1 << (SIGTERM - 1) | 1 << (SIGUSR2 - 1);
        assert_eq!(before & both, 0);
        assert_eq!(holding_back(&signals, blocked_in_child), before | both);
        assert_eq!(holding_back(&SigSet::empty(), blocked_in_child), before);
        assert_eq!(blocked_in_child(), before);
    }
}
