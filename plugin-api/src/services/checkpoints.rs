//! Checkpoints of the run: asking for one, and what may be done with those on disk. Knows nothing of how they are written.

use super::{ids, wrong, Checkpoints, ServiceResult};
use serde_json::{json, Value as Json};
use std::path::{Path, PathBuf};

impl Checkpoints<'_> {
    /// Asks for a checkpoint of the state right after this hook returns and before the next one is called. It is written
    /// while the run goes on; `after_save_checkpoint` comes when it is on the disk.
    pub fn request_save(&self, options: Json) -> ServiceResult<()> {
        self.host.call(ids::CHECKPOINT, "save", &options).map(drop)
    }

    /// Writes a copy of a checkpoint of this run with these parts only (`meta`, `state_dict`, `optimizer`,
    /// `param_schedulers`, `message_hub`), under its name and the first eight digits of the weights' SHA-256; returns its path.
    pub fn publish(&self, path: impl AsRef<Path>, keys: &[String]) -> ServiceResult<PathBuf> {
        let arguments = json!({ "path": path.as_ref().to_string_lossy(), "keys": keys });
        let published = self.host.call(ids::CHECKPOINT, "publish", &arguments)?;
        let path = published.as_str().map(PathBuf::from);
        path.ok_or_else(|| wrong("checkpoint.publish", "a path", &published))
    }

    /// Says where the checkpoint of a [`crate::Hook::fetch_checkpoint`] is now.
    pub fn fetched(&self, path: impl AsRef<Path>) -> ServiceResult<()> {
        let path = path.as_ref().to_string_lossy();
        self.host.call(ids::CHECKPOINT, "fetched", &json!({ "path": path })).map(drop)
    }

    /// Removes a checkpoint of this run.
    pub fn remove(&self, path: impl AsRef<Path>) -> ServiceResult<()> {
        let path = path.as_ref().to_string_lossy();
        self.host.call(ids::CHECKPOINT, "remove", &json!({ "path": path })).map(drop)
    }
}
