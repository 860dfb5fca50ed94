//! What goes wrong between processes, with the ranks and the operation. Knows nothing of what the operations do.

use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_int;
use std::time::Duration;

use crate::ffi;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another process did not come in time.
    Timeout,
    /// A connection could not be made, or was lost.
    Connection,
    /// Anything else, such as tensors that do not fit.
    Other,
}

/// An operation that failed: who asked for it, who was at the other end where that is known, and what libtorch says.
///
/// `rank 0 of 2, all-reduce: the connection to rank 1 failed (…)`
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    /// The rank and the size of its group, once there is one.
    place: Option<(usize, usize)>,
    operation: String,
    failure: Failure,
    peers: Vec<usize>,
    waited: Duration,
    message: String,
}

impl fmt::Display for Details {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((rank, size)) = self.place {
            write!(formatter, "rank {rank} of {size}, ")?;
        }
        let Details { operation, failure, message, .. } = self;
        let peers = peers(&self.peers);
        match failure {
            Failure::Timeout => {
                write!(formatter, "{operation}: {peers} did not come in time ({message})")
            }
            Failure::Connection => {
                write!(formatter, "{operation}: the connection to {peers} failed ({message})")
            }
            Failure::Other => write!(formatter, "{operation}: {message}"),
        }
    }
}

fn peers(ranks: &[usize]) -> String {
    let numbers: Vec<_> = ranks.iter().map(usize::to_string).collect();
    match numbers.as_slice() {
        [] => "another process".to_owned(),
        [one] => format!("rank {one}"),
        many => format!("ranks {}", many.join(", ")),
    }
}

impl Error {
    pub(crate) fn new(operation: impl Into<String>, failure: Failure, message: &str) -> Error {
        Error(Box::new(Details {
            place: None,
            operation: operation.into(),
            failure,
            peers: Vec::new(),
            waited: Duration::ZERO,
            message: message.to_owned(),
        }))
    }

    pub(crate) fn at(mut self, rank: usize, size: usize) -> Error {
        self.0.place = Some((rank, size));
        self
    }

    pub(crate) fn with_peers(mut self, peers: Vec<usize>) -> Error {
        self.0.peers = peers;
        self
    }

    pub(crate) fn after(mut self, waited: Duration) -> Error {
        self.0.waited = waited;
        self
    }

    /// What kind of failure it was.
    pub fn failure(&self) -> Failure {
        self.0.failure
    }

    /// The rank that the operation failed on, if it was a group's.
    pub fn rank(&self) -> Option<usize> {
        self.0.place.map(|(rank, _)| rank)
    }

    /// The ranks at the other end, in order, where they are known: the one whose connection broke, by the address that
    /// libtorch names, or as the only other one; those that did not come, of [`await_ranks`](crate::await_ranks) and
    /// [`Group::with_missing`](crate::Group::with_missing).
    ///
    /// A rank whose connection broke need not be the first that left: one that finds a connection closed may close its own.
    pub fn peers(&self) -> &[usize] {
        &self.0.peers
    }

    /// How long this rank had been in the operation when it failed: of several ranks, the one that came last has the shortest
    /// time. Zero where nothing was waited for.
    pub fn waited(&self) -> Duration {
        self.0.waited
    }

    /// What was asked for: `all-reduce`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// libtorch's words. Those of Gloo name the peer's address, where a connection broke; a wait that took
    /// too long names nobody, see [`Group::missing_ranks`](crate::Group::missing_ranks).
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// The answer of the shim as a result.
pub(crate) fn check(code: c_int, operation: &str) -> Result<(), Error> {
    let failure = match code {
        0 => return Ok(()),
        1 => Failure::Timeout,
        2 => Failure::Connection,
        _ => Failure::Other,
    };
    // SAFETY: the text belongs to this thread, ends with a zero, and lives until the thread's next call.
    let words = unsafe { CStr::from_ptr(ffi::snaphook_c10d_last_words()) };
    Err(Error::new(operation, failure, &words.to_string_lossy()))
}
