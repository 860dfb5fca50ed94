//! A request from outside to end the process in good order, from a signal's handler or from anybody else.
//! Knows nothing of how signals are caught.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use snaphook_heartbeat::words;

/// Shared between whoever asks a run to end and the run, which looks between two batches.
///
/// ```
/// let interrupt = snaphook_runner::Interrupt::default();
/// interrupt.request(15);
/// assert_eq!(interrupt.signal(), Some(15));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Asks for the end, on account of this signal; a run that was asked already keeps the first one's number.
    pub fn request(&self, signal: usize) {
        let _ = self.0.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The number of the signal that asked for the end; `None` while nobody did.
    pub fn signal(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    /// Forgets the request, which is being honoured, so that another one is noticed.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// What a signal's handler stores the signal's number in; 0 means that nobody asked.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }
}

/// A signal as people call it.
pub fn signal_name(signal: usize) -> String {
    words::signal_name(i32::try_from(signal).unwrap_or_default())
}
