//! What goes wrong between processes, with the rank and the operation. Knows nothing of what the operations do.

use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_int;

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

/// An operation that failed: who asked for it, and what libtorch says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}{operation}: {}", explained(.failure, .message))]
pub struct Error {
    place: Place,
    operation: String,
    failure: Failure,
    message: String,
}

/// The rank and the size of its group, once there is one.
#[derive(Clone, Copy, Debug)]
struct Place(Option<(usize, usize)>);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((rank, size)) => write!(formatter, "rank {rank} of {size}, "),
            None => Ok(()),
        }
    }
}

fn explained(failure: &Failure, message: &str) -> String {
    match failure {
        Failure::Timeout => format!("another process did not come in time ({message})"),
        Failure::Connection => format!("the connection to another process failed ({message})"),
        Failure::Other => message.to_owned(),
    }
}

impl Error {
    pub(crate) fn new(operation: impl Into<String>, failure: Failure, message: &str) -> Error {
        let (operation, message) = (operation.into(), message.to_owned());
        Error { place: Place(None), operation, failure, message }
    }

    pub(crate) fn at(self, rank: usize, size: usize) -> Error {
        Error { place: Place(Some((rank, size))), ..self }
    }

    /// What kind of failure it was.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// The rank that the operation failed on, if it was a group's.
    pub fn rank(&self) -> Option<usize> {
        self.place.0.map(|(rank, _)| rank)
    }

    /// What was asked for: `all-reduce`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// libtorch's words. Those of Gloo name the peer's address, where a connection broke; a wait that took
    /// too long names nobody, see [`Group::missing_ranks`](crate::Group::missing_ranks).
    pub fn message(&self) -> &str {
        &self.message
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
