//! Which ranks are there: all of them before a group is made of them, and which are missing after a collective has failed.
//! libtorch's own words tell an address, or none.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Failure};
use crate::group::Group;
use crate::store::Store;

const PAUSE: Duration = Duration::from_millis(50);
const COMING: &str = "coming together";
const ARRIVED: &str = "snaphook/c10d/arrived";

/// Waits until all ranks have called this with the same store, before they make a group: each says that it is there.
/// `look` is called about twenty times a second with the time that was waited; it can ask for the ranks that are missing, and
/// ends the wait by saying no.
///
/// All ranks must call it: PyTorch's do not. One that gave up may call it again, and counts once.
///
/// Errors: ranks that do not come within `timeout`, which are the error's [`peers`](Error::peers); `look` said no; the store
/// does not answer.
pub fn await_ranks(
    store: &Store,
    (rank, size): (usize, usize),
    timeout: Duration,
    mut look: impl FnMut(&Arrivals<'_>) -> bool,
) -> Result<(), Error> {
    let placed = |error: Error| error.at(rank, size);
    let arrivals = Arrivals { store, size, began: Instant::now() };
    let is_first = store.add(&key(rank), 1).map_err(placed)? == 1;
    let mut come = store.add(ARRIVED, i64::from(is_first)).map_err(placed)?;
    while come < size as i64 {
        let waited = arrivals.waited();
        if !look(&arrivals) {
            return Err(placed(Error::new(COMING, Failure::Other, "the wait was ended")));
        }
        if waited >= timeout {
            let words = format!("waited {:.0} s", waited.as_secs_f64());
            let error = Error::new(COMING, Failure::Timeout, &words).after(waited);
            return Err(placed(error.with_peers(arrivals.missing()?)));
        }
        thread::sleep(PAUSE);
        come = store.add(ARRIVED, 0).map_err(placed)?;
    }
    Ok(())
}

/// Who has come so far.
#[derive(Debug)]
pub struct Arrivals<'a> {
    store: &'a Store,
    size: usize,
    began: Instant,
}

impl Arrivals<'_> {
    /// Since when this rank has waited.
    pub fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// The ranks that have not come yet; a question to the store for each rank.
    ///
    /// Errors: the store does not answer.
    pub fn missing(&self) -> Result<Vec<usize>, Error> {
        absent(self.store, self.size, key)
    }
}

/// Those of `size` ranks that have called [`await_ranks`] with this store so far; a question to the store for each rank.
///
/// Errors: the store does not answer.
pub fn arrived_ranks(store: &Store, size: usize) -> Result<Vec<usize>, Error> {
    let missing = absent(store, size, key)?;
    Ok((0..size).filter(|rank| !missing.contains(rank)).collect())
}

fn key(rank: usize) -> String {
    format!("{ARRIVED}/{rank}")
}

/// The ranks whose key is not set.
fn absent(store: &Store, size: usize, key: impl Fn(usize) -> String) -> Result<Vec<usize>, Error> {
    let mut missing = Vec::new();
    for rank in 0..size {
        if !store.has(&key(rank))? {
            missing.push(rank);
        }
    }
    Ok(missing)
}

impl Group {
    /// The ranks that do not answer, asked by every rank at which a collective failed: each says in the store that it is there,
    /// and waits `patience` at most for the others. Empty where all are there. It closes the group's connections first, so
    /// that ranks which still wait for this one come here, too; a rank that stands still or is gone does not.
    ///
    /// Where the store does not answer, which ends with the process that serves it, nobody can be asked: then they are the
    /// [`peers`](Error::peers) of the group's failure, as far as they are known. The process that is gone is one of them where it
    /// was the first to close a connection.
    ///
    /// Errors: the store does not answer, and no peer is known.
    pub fn missing_ranks(&self, patience: Duration) -> Result<Vec<usize>, Error> {
        self.close();
        self.ask_all(patience).or_else(|error| {
            let peers = self.broken_by().map(|failure| failure.peers().to_vec());
            peers.filter(|peers| !peers.is_empty()).ok_or(error)
        })
    }

    fn ask_all(&self, patience: Duration) -> Result<Vec<usize>, Error> {
        let (store, size) = (self.store(), self.size());
        let key = |rank: usize| format!("snaphook/c10d/here/{rank}");
        store.set(&key(self.rank()), b"")?;
        let began = Instant::now();
        loop {
            let missing = absent(store, size, key)?;
            if missing.is_empty() || began.elapsed() > patience {
                return Ok(missing);
            }
            thread::sleep(PAUSE);
        }
    }

    /// The error of a collective with the ranks of [`Group::missing_ranks`] as its [`peers`](Error::peers); those that it had
    /// where all answer, or the store does not.
    pub fn with_missing(&self, error: Error, patience: Duration) -> Error {
        match self.missing_ranks(patience) {
            Ok(missing) if !missing.is_empty() => error.with_peers(missing),
            _ => error,
        }
    }
}
