//! Which ranks are missing after a collective has failed: libtorch's own words tell an address, or none.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::group::Group;

const PAUSE: Duration = Duration::from_millis(50);

impl Group {
    /// The ranks that do not answer, asked by every rank at which a collective failed: each says in the store that it is there,
    /// and waits `patience` at most for the others. Empty where all are there. It closes the group's connections first, so
    /// that ranks which still wait for this one come here, too; a rank that stands still or is gone does not.
    ///
    /// The process that serves the store must live; where it is the missing one, asking it is the error.
    ///
    /// Errors: the store does not answer.
    pub fn missing_ranks(&self, patience: Duration) -> Result<Vec<usize>, Error> {
        self.close();
        let (store, size) = (self.store(), self.size());
        let key = |rank: usize| format!("snaphook/c10d/here/{rank}");
        store.set(&key(self.rank()), b"")?;
        let end = Instant::now() + patience;
        loop {
            let mut missing = Vec::new();
            for rank in 0..size {
                if !store.has(&key(rank))? {
                    missing.push(rank);
                }
            }
            if missing.is_empty() || Instant::now() > end {
                return Ok(missing);
            }
            thread::sleep(PAUSE);
        }
    }
}
