//! Signals that the launcher passes on, as a queue. Knows nothing of ranks.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

use crate::LaunchError;

/// Catches signals while it lives.
pub(crate) struct Caught {
    queue: Receiver<i32>,
    handle: Handle,
}

impl Caught {
    pub(crate) fn start() -> Result<Caught, LaunchError> {
        let what = "signals cannot be caught";
        let failed = |source| LaunchError::System { what, source };
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD]).map_err(failed)?;
        let (handle, (sender, queue)) = (signals.handle(), channel());
        let listen = move || {
            for signal in &mut signals {
                if sender.send(signal).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(Caught { queue, handle })
    }

    /// The next signal to pass on, or `None` after a moment, or after a child ended.
    pub(crate) fn next(&self, pause: Duration) -> Option<i32> {
        match self.queue.recv_timeout(pause) {
            Ok(SIGCHLD) | Err(RecvTimeoutError::Timeout) => None,
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(pause);
                None
            }
        }
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        self.handle.close();
    }
}
