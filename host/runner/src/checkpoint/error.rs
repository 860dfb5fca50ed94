//! What can go wrong with a checkpoint.
//! Knows nothing of what to do about it, beyond a hint.

use std::io;
use std::path::PathBuf;

/// A checkpoint that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file or folder could not be written; nothing half-written is left.
    #[error("checkpoint {}: cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tensor that the format cannot hold.
    #[error("checkpoint {}: tensor {name}: {reason}", path.display())]
    Tensor {
        /// The file it was for, or came from.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Expected and found.
        reason: String,
    },
    /// A file or folder could not be read.
    #[error("checkpoint {}: cannot be read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of PyTorch's that cannot be used.
    #[error("checkpoint: {0}")]
    Pth(#[from] snaphook_pth::PthError),
    /// Nothing is there.
    #[error("checkpoint {}: does not exist", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{}: expected a checkpoint, a folder with manifest.json, found {found}", path.display())]
    NotACheckpoint {
        /// Where it was looked for.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// A file of the checkpoint is gone.
    #[error("checkpoint file {}: is missing, though the manifest lists it (restore it, or resume from another checkpoint)", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file's content is not what was written.
    #[error("checkpoint file {}: damaged: expected SHA-256 {expected}, found {found} (resume from another checkpoint)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// A file's content has another form than it should.
    #[error("checkpoint file {}: expected {expected}: {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What was wrong.
        found: String,
    },
    /// Written by a later version.
    #[error("checkpoint {}: has format version {found}, this program reads up to {supported} (update snaphook)", path.display())]
    Newer {
        /// The checkpoint.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The latest that can be read.
        supported: u64,
    },
    /// The weights are of another model.
    #[error("checkpoint {}: does not fit the model: {}", path.display(), problems.join("; "))]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// Missing, unexpected and wrongly shaped tensors.
        problems: Vec<String>,
    },
    /// `last_checkpoint` names a checkpoint that is not there.
    #[error("{}: names {}, which is no whole checkpoint: {} (give the checkpoint to resume from, or remove this file)", file.display(), target.display(), reason)]
    StaleLast {
        /// The file `last_checkpoint`.
        file: PathBuf,
        /// What it names.
        target: PathBuf,
        /// Why it is none.
        reason: &'static str,
    },
}

impl CheckpointError {
    /// Whether writing failed, rather than reading.
    pub fn is_write(&self) -> bool {
        matches!(self, CheckpointError::Write { .. })
    }

    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> CheckpointError {
        let path = path.into();
        move |source| CheckpointError::Write { path, source }
    }

    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> CheckpointError {
        let path = path.into();
        move |source| CheckpointError::Read { path, source }
    }
}
