//! How long a store may fail: the time in which any request of an upload fails, added up. Time in which something arrives
//! costs nothing, so that a large file has as long as it takes. Knows nothing of requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all requests of an upload.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    longest: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    spent: Duration,
    /// Since when some request fails, and how many do.
    failing: Option<(Instant, u32)>,
    is_last: bool,
}

impl Patience {
    pub(crate) fn new(longest: Duration) -> Patience {
        Patience { longest, state: Arc::default() }
    }

    /// Another upload begins, with all of the patience; after [`Patience::begin_last`] none does.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        if !state.is_last {
            state.spent = Duration::ZERO;
        }
    }

    /// All that is still to be uploaded shares what begins now.
    pub(crate) fn begin_last(&self) {
        let mut state = self.lock();
        (state.is_last, state.spent) = (true, Duration::ZERO);
        if let Some((since, _)) = &mut state.failing {
            *since = Instant::now();
        }
    }

    /// A request whose first try, begun at `since`, has failed; until the answer is dropped it counts as failing.
    pub(crate) fn failing(&self, since: Instant) -> Failing<'_> {
        let mut state = self.lock();
        let (first, count) = state.failing.unwrap_or((since, 0));
        state.failing = Some((first.min(since), count + 1));
        Failing { patience: self }
    }

    /// Whether it ends within the next `pause`.
    fn ends_in(&self, pause: Duration) -> bool {
        let state = self.lock();
        let running = state.failing.map_or(Duration::ZERO, |(since, _)| since.elapsed());
        state.spent + running + pause > self.longest
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that fails.
pub(crate) struct Failing<'a> {
    patience: &'a Patience,
}

impl Failing<'_> {
    /// Whether a try after `pause` would come too late.
    pub(crate) fn is_over(&self, pause: Duration) -> bool {
        self.patience.ends_in(pause)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        let mut state = self.patience.lock();
        match state.failing {
            Some((since, 2..)) => {
                let count = state.failing.map_or(0, |(_, count)| count - 1);
                state.failing = Some((since, count));
            }
            Some((since, _)) => {
                state.spent += since.elapsed();
                state.failing = None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn requests_that_fail_at_the_same_time_count_once_and_one_after_the_other_add_up() {
        let patience = Patience::new(Duration::from_secs(100));
        drop((patience.failing(ago(30)), patience.failing(ago(20))));
        let third = patience.failing(ago(40));
        assert!(!third.is_over(Duration::from_secs(20)), "70 of 100 seconds are gone");
        assert!(third.is_over(Duration::from_secs(40)));
    }

    #[test]
    fn each_upload_begins_anew_and_what_is_left_at_the_end_shares_one_patience() {
        let patience = Patience::new(Duration::from_secs(100));
        drop(patience.failing(ago(90)));
        patience.begin();
        assert!(!patience.failing(ago(0)).is_over(Duration::from_secs(90)));
        patience.begin_last();
        drop(patience.failing(ago(60)));
        patience.begin();
        assert!(patience.failing(ago(0)).is_over(Duration::from_secs(50)));
    }
}
