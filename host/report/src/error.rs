//! What can go wrong with the files of a run, or with writing a report of it.

use std::io;
use std::path::PathBuf;

/// Why a run cannot be read, or what was asked for cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is not what its name says.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, expected and found.
        message: String,
    },
    /// A folder without a run in it.
    #[error("{}: {message}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// Expected, found, way out.
        message: String,
    },
}

impl ReportError {
    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> ReportError {
        ReportError::File { path: path.into(), source }
    }
}
