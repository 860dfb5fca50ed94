//! Writes a checkpoint so that it is whole or not there.
//! Knows nothing of which checkpoints are kept.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tch::Tensor;

use super::files::{HashedFile, sync_folder};
use super::folder::{Purpose, hidden_path};
use super::manifest::{self, FileRecord, MANIFEST};
use super::{Checkpoint, CheckpointError, tensors};

pub(super) const STATE: &str = "state.json";
pub(super) const MODEL: &str = "model";
pub(super) const OPTIMIZER: &str = "optimizer";

/// Writes a checkpoint as `folder/name` and returns that path. One of that name that is there is replaced; anything else of
/// that name is somebody's own, and gets another name (`epoch_1.kept`).
///
/// When it returns, everything is on the disk.
///
/// Errors: a full disk, a folder that cannot be written to; what was there before is as it was then.
pub fn save(
    checkpoint: &Checkpoint,
    folder: &Path,
    name: &str,
) -> Result<PathBuf, CheckpointError> {
    save_beside(checkpoint, folder, name).map(|saved| saved.path)
}

/// A checkpoint that was saved.
pub(super) struct Saved {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Where something is now that had its name and was no checkpoint.
    pub(super) moved: Option<PathBuf>,
}

/// As [`save`], and tells what was in the way.
pub(super) fn save_beside(
    checkpoint: &Checkpoint,
    folder: &Path,
    name: &str,
) -> Result<Saved, CheckpointError> {
    std::fs::create_dir_all(folder).map_err(CheckpointError::write(folder))?;
    let draft = Draft::new(hidden_path(folder, name, Purpose::Writing))?;
    draft.write_parts(checkpoint)?;
    let target = folder.join(name);
    let moved = move_aside(&target)?;
    draft.publish(&target)?;
    Ok(Saved { path: target, moved })
}

/// Gives what is no checkpoint another name: `epoch_1.kept`, `epoch_1.kept-2`, …
fn move_aside(target: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let is_free = std::fs::symlink_metadata(target).is_err();
    if is_free || target.join(MANIFEST).exists() {
        return Ok(None);
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut names = (1..).map(|number| match number {
        1 => format!("{name}.kept"),
        more => format!("{name}.kept-{more}"),
    });
    let free = names.find(|name| std::fs::symlink_metadata(target.with_file_name(name)).is_err());
    let moved = target.with_file_name(free.unwrap_or_default());
    std::fs::rename(target, &moved).map_err(CheckpointError::write(&moved))?;
    Ok(Some(moved))
}

/// Everything in a checkpoint that is not a tensor.
pub(crate) fn state_json(checkpoint: &Checkpoint) -> Json {
    json!({
        "meta": checkpoint.meta,
        "optimizer": checkpoint.optimizer.as_ref().map(|state| &state.scalars),
        "groups": checkpoint.tensors.keys().collect::<Vec<_>>(),
        "entries": checkpoint.entries,
    })
}

/// A checkpoint that is being written; removed unless it gets published.
struct Draft {
    folder: PathBuf,
}

impl Draft {
    fn new(folder: PathBuf) -> Result<Draft, CheckpointError> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(CheckpointError::write(&folder))?;
        }
        std::fs::create_dir(&folder).map_err(CheckpointError::write(&folder))?;
        Ok(Draft { folder })
    }

    fn write_parts(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let mut files = vec![self.write_tensors(MODEL, &checkpoint.model)?];
        if let Some(optimizer) = &checkpoint.optimizer {
            files.push(self.write_tensors(OPTIMIZER, &optimizer.tensors)?);
        }
        for (group, tensors) in &checkpoint.tensors {
            files.push(self.write_tensors(group, tensors)?);
        }
        files.push(self.write_json(STATE, &state_json(checkpoint))?);
        self.write_json(MANIFEST, &manifest::to_json(&files))?;
        sync_folder(&self.folder).map_err(CheckpointError::write(&self.folder))
    }

    fn write_tensors(
        &self,
        group: &str,
        named: &[(String, Tensor)],
    ) -> Result<FileRecord, CheckpointError> {
        let name = format!("{group}.safetensors");
        let path = self.folder.join(&name);
        let mut file = HashedFile::create(&path).map_err(CheckpointError::write(&path))?;
        tensors::write(named, &mut file, &path)?;
        file.finish(&name).map_err(CheckpointError::write(path))
    }

    fn write_json(&self, name: &str, json: &Json) -> Result<FileRecord, CheckpointError> {
        let path = self.folder.join(name);
        let write = || {
            let mut file = HashedFile::create(&path)?;
            file.write_all(&serde_json::to_vec(json)?)?;
            file.finish(name)
        };
        write().map_err(CheckpointError::write(&path))
    }

    /// Renames the draft to its final name, in place of what is there.
    fn publish(self, target: &Path) -> Result<(), CheckpointError> {
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            let source = std::io::Error::other("expected a name in a folder");
            return Err(CheckpointError::Write { path: target.to_owned(), source });
        };
        let old = hidden_path(folder, &name.to_string_lossy(), Purpose::Replaced);
        let is_replacing = std::fs::symlink_metadata(target).is_ok();
        if is_replacing {
            remove_any(&old)?;
            // Killed after this, the next start renames it back: see `clean_leftovers`.
            std::fs::rename(target, &old).map_err(CheckpointError::write(target))?;
        }
        if let Err(error) = std::fs::rename(&self.folder, target) {
            if is_replacing {
                std::fs::rename(&old, target).map_err(CheckpointError::write(target))?;
            }
            return Err(CheckpointError::Write { path: target.to_owned(), source: error });
        }
        sync_folder(folder).map_err(CheckpointError::write(folder))?;
        remove_any(&old)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing of this name. A failure here is a leftover, which the next start removes.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes a file or folder, if there is one.
pub(super) fn remove_any(path: &Path) -> Result<(), CheckpointError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(entry) if entry.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CheckpointError::Write { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
