//! What can go wrong on the way to a file of weights. Knows nothing of how it is reported.

use std::io;
use std::path::PathBuf;

/// Weights that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A scheme that nobody knows.
    #[error("weights {0:?}: expected a file, http(s)://, torchvision:// or open-mmlab://")]
    Scheme(String),
    /// A name that nobody knows.
    #[error("weights {found:?}: unknown name (nearest: {nearest})")]
    Name {
        /// What was asked for.
        found: String,
        /// The nearest known name.
        nearest: String,
    },
    /// An address without a file name.
    #[error("weights {0:?}: expected an address that ends in the name of a file")]
    NoFileName(String),
    /// Neither a home nor a cache folder.
    #[error("weights: there is no folder to keep them in (set TORCH_HOME)")]
    NoCache,
    /// The cache cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program that fetches is not there.
    #[error(
        "{url}: curl cannot be started, which fetches weights: {source} (install it, or put the file to {})",
        place.display()
    )]
    NoCurl {
        /// The address.
        url: String,
        /// Where the file is looked for.
        place: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address cannot be fetched.
    #[error("{url}: cannot be fetched: {message} (put the file to {})", place.display())]
    Fetch {
        /// The address.
        url: String,
        /// Where the file is looked for.
        place: PathBuf,
        /// What curl said.
        message: String,
    },
    /// Another file than the one that its name promises.
    #[error(
        "{}: expected a SHA-256 that begins with {expected}, as its name says, found {found} (remove the file, it is \
         damaged or another one)",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Begin of the hash in the name.
        expected: String,
        /// The hash.
        found: String,
    },
}
