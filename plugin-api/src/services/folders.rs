//! Where checkpoints of a run go. Knows nothing of what is in them.

use super::{ids, wrong, Checkpoints, ServiceResult};
use serde_json::json;
use std::path::{Path, PathBuf};

impl Checkpoints<'_> {
    /// The folder that checkpoints go into: the work folder, or the run's own folder where a trial on less data must not
    /// overwrite anything.
    pub fn folder(&self) -> ServiceResult<PathBuf> {
        let folder = self.host.call(ids::CHECKPOINT, "folder", &json!({}))?;
        let path = folder.as_str().map(PathBuf::from);
        path.ok_or_else(|| wrong("checkpoint.folder", "a path", &folder))
    }

    /// Makes a folder for checkpoints beside the work folder, for names that [`Checkpoints::request_save`] gets as `folder`; a
    /// relative path is one below where the trainer was started. Returns its full path. From then on checkpoints in it
    /// count as this run's, for [`Checkpoints::publish`] and [`Checkpoints::remove`].
    ///
    /// Errors: it cannot be made.
    pub fn use_folder(&self, path: impl AsRef<Path>) -> ServiceResult<PathBuf> {
        let arguments = json!({ "path": path.as_ref().to_string_lossy() });
        let folder = self.host.call(ids::CHECKPOINT, "use_folder", &arguments)?;
        let path = folder.as_str().map(PathBuf::from);
        path.ok_or_else(|| wrong("checkpoint.use_folder", "a path", &folder))
    }
}
