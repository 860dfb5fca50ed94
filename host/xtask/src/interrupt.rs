//! Turns Ctrl-C and SIGTERM into a question that long work asks itself between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether somebody asked this process to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM; without it half-made folders would stay until the next run.
    pub(crate) fn watch() -> Self {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // A signal that cannot be taken over ends the process as usual, which the next run repairs.
            let _ = signal_hook::flag::register(signal, Arc::clone(&interrupt.asked));
        }
        interrupt
    }

    /// True from the first signal on.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Interrupt {
    /// Stands in for a signal.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}
