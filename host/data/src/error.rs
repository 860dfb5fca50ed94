//! What can go wrong with pictures, annotations and their configuration.
//! Knows nothing of how errors are shown; each message names the file or the configuration entry.

use std::io;
use std::path::{Path, PathBuf};

use snaphook_components::{ComponentError, Problem};
use thiserror::Error;

/// An error of data: its files, its configuration, its annotations.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A picture that cannot be opened or read from the disk.
    #[error("image {}: cannot be read", path.display())]
    ReadImage {
        /// The picture.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A picture whose content is not a whole one of a known format.
    #[error("image {}: {reason}", path.display())]
    DecodeImage {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture that cannot be written.
    #[error("image {}: cannot be written: {reason}", path.display())]
    WriteImage {
        /// The file that was to be written.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// An annotation file or list that cannot be read from the disk.
    #[error("annotation file {}: cannot be read", path.display())]
    ReadAnnotations {
        /// The annotation file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An annotation file whose content is wrong.
    #[error("annotation file {}: {reason}", path.display())]
    Annotations {
        /// The annotation file.
        path: PathBuf,
        /// What is wrong, with the id of the entry.
        reason: String,
    },
    /// Keyword arguments of a data set, transform, loader or metric that are wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A wrong entry in the configuration of a data set, transform, loader or metric.
    #[error("{owner}: {reason}")]
    Config {
        /// The entry, such as `Mosaic` or `CocoDataset.filter_cfg`.
        owner: String,
        /// What was expected and found.
        reason: String,
    },
    /// No usable sample was found although many were tried.
    #[error("data set: {tries} samples in a row gave nothing to train on (the last: {last})")]
    NoUsableSample {
        /// How many samples were tried.
        tries: usize,
        /// The picture tried last.
        last: String,
    },
    /// A loader thread panicked; the message is the panic's.
    #[error("loader thread: panicked at sample {index}: {message} (please report this)")]
    WorkerPanicked {
        /// Index of the sample in the data set.
        index: usize,
        /// The panic's message.
        message: String,
    },
    /// A loader thread could not be started.
    #[error("loader: a thread cannot be started (lower num_workers)")]
    StartThread(#[source] io::Error),
    /// A folder or file of a drawn data set that cannot be written.
    #[error("{}: cannot be written", path.display())]
    WriteFile {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl From<Problem> for DataError {
    fn from(problem: Problem) -> DataError {
        DataError::Component(problem.into())
    }
}

impl DataError {
    /// True for an error of one single picture, which `on_bad_image: Skip` may leave out.
    pub fn is_bad_image(&self) -> bool {
        matches!(self, Self::ReadImage { .. } | Self::DecodeImage { .. })
    }

    /// The picture of an error for which [`DataError::is_bad_image`] holds.
    pub fn bad_image_path(&self) -> Option<&Path> {
        match self {
            Self::ReadImage { path, .. } | Self::DecodeImage { path, .. } => Some(path),
            _ => None,
        }
    }

    pub(crate) fn config(owner: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { owner: owner.into(), reason: reason.into() }
    }

    pub(crate) fn annotations(path: &Path, reason: impl Into<String>) -> Self {
        Self::Annotations { path: path.to_owned(), reason: reason.into() }
    }
}
