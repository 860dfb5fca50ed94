//! What can be wrong with a `.pth` file. Knows nothing of how it is read.

use std::path::PathBuf;

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PthError {
    /// The file cannot be opened, read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else than a PyTorch file, or a damaged one.
    #[error("{path}: expected a PyTorch file, found {found}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        found: String,
    },
    /// A file that would run code in Python.
    #[error(
        "{path}: refers to {name}, which neither weights nor MMEngine's records need (nothing of the file was run; \
         do not load it with Python unless you trust its author)"
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
        /// Module and name, as written in the file.
        name: String,
    },
    /// A file without tensors.
    #[error("{path}: expected weights, found {found}")]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// The keys that were there.
        found: String,
    },
}

/// What is wrong with the content of a file; the path is added where it is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed(String),
    Forbidden(String),
}

impl Fault {
    pub(crate) fn new(found: impl Into<String>) -> Fault {
        Fault::Malformed(found.into())
    }

    pub(crate) fn at(self, path: &std::path::Path) -> PthError {
        let path = path.to_owned();
        match self {
            Fault::Malformed(found) => PthError::Malformed { path, found },
            Fault::Forbidden(name) => PthError::Forbidden { path, name },
        }
    }
}
