//! When nothing is tried any more. Knows nothing of what is tried.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Never, until the run ends; whoever waits may bring it forward.
#[derive(Default)]
pub(crate) struct Deadline(Mutex<Option<Instant>>);

impl Deadline {
    pub(crate) fn set(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Whether it is over within the next `pause`.
    pub(crate) fn is_over_in(&self, pause: Duration) -> bool {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.is_some_and(|end| Instant::now() + pause > end)
    }
}
