//! The work folder as far as checkpoints go: the last one, removal, and what dead writers left.
//! Knows nothing of what is in a checkpoint.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::CheckpointError;
use super::files::{HashedFile, sync_folder};
use super::manifest::MANIFEST;
use super::write::remove_any;

const LAST: &str = "last_checkpoint";

/// Why a hidden sibling of a checkpoint is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Not whole yet.
    Writing,
    /// Whole, and about to be replaced by another of the same name.
    Replaced,
    /// No longer wanted.
    Removed,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Writing, Purpose::Replaced, Purpose::Removed];

    fn word(self) -> &'static str {
        match self {
            Purpose::Writing => "writing",
            Purpose::Replaced => "replaced",
            Purpose::Removed => "removed",
        }
    }
}

/// `.epoch_3.writing-4711`: hidden, and it tells whose it is.
pub(super) fn hidden_path(folder: &Path, name: &str, purpose: Purpose) -> PathBuf {
    folder.join(format!(".{name}.{}-{}", purpose.word(), process::id()))
}

/// The parts of a hidden name: the checkpoint's, why it is there, and the process.
fn parse_hidden(name: &str) -> Option<(&str, Purpose, u32)> {
    let (rest, process) = name.strip_prefix('.')?.rsplit_once('-')?;
    let (checkpoint, word) = rest.rsplit_once('.')?;
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.word() == word)?;
    Some((checkpoint, purpose, process.parse().ok()?))
}

/// Removes what writers that were killed have left in `work_dir`, and returns its paths.
///
/// A whole checkpoint that was about to be replaced gets its name back. Call it at the start of a run: writers of this
/// process count as dead.
///
/// Errors: a folder that cannot be read or changed; a missing one is empty.
pub fn clean_leftovers(work_dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let entries = match std::fs::read_dir(work_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(CheckpointError::Read { path: work_dir.to_owned(), source: error });
        }
    };
    let mut removed = Vec::new();
    for entry in entries {
        let path = entry.map_err(CheckpointError::read(work_dir))?.path();
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some((checkpoint, purpose, owner)) = parse_hidden(&name) else { continue };
        if is_alive(owner) {
            continue;
        }
        let target = work_dir.join(checkpoint);
        let is_only_copy = purpose == Purpose::Replaced && !target.exists();
        if is_only_copy && path.join(MANIFEST).exists() {
            std::fs::rename(&path, &target).map_err(CheckpointError::write(&target))?;
        } else {
            remove_any(&path)?;
            removed.push(path);
        }
    }
    removed.sort();
    Ok(removed)
}

/// Whether another process of this number runs; where that cannot be told, none does.
fn is_alive(owner: u32) -> bool {
    owner != process::id() && Path::new("/proc").join(owner.to_string()).exists()
}

/// Writes the path of `checkpoint` to `last_checkpoint` in `work_dir`.
///
/// Errors: a full disk, a folder that cannot be written to; the file is as it was then.
pub fn write_last(work_dir: &Path, checkpoint: &Path) -> Result<(), CheckpointError> {
    let checkpoint = std::path::absolute(checkpoint).map_err(CheckpointError::write(checkpoint))?;
    let (target, draft) = (work_dir.join(LAST), hidden_path(work_dir, LAST, Purpose::Writing));
    let write = || {
        let mut file = HashedFile::create(&draft)?;
        file.write_all(checkpoint.to_string_lossy().as_bytes())?;
        file.finish(LAST)?;
        std::fs::rename(&draft, &target)?;
        sync_folder(work_dir)
    };
    remove_any(&draft)?;
    write().map_err(|error| {
        // The first error is the one to tell; a leftover is removed at the next start.
        let _ = remove_any(&draft);
        CheckpointError::Write { path: target.clone(), source: error }
    })
}

/// The checkpoint that `last_checkpoint` in `work_dir` names. Without that file, which a process that was killed may not
/// have come to write, the whole one of most iterations that lies there; `None` without any.
///
/// Where there is a checkpoint of that name beside the file as well, because the work folder was copied, the one that was
/// written later counts, and of two of one age the one beside the file.
///
/// Errors: the file cannot be read, or names a checkpoint that is nowhere.
pub fn find_last(work_dir: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let file = work_dir.join(LAST);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(furthest(work_dir)),
        Err(error) => return Err(CheckpointError::Read { path: file, source: error }),
    };
    let target = PathBuf::from(text.trim());
    let beside = target.file_name().map(|name| work_dir.join(name));
    let written = |path: &Path| std::fs::metadata(path.join(MANIFEST)).and_then(|m| m.modified());
    // Of equal ones `max_by_key` takes the last.
    let candidates = [Some(target.clone()), beside].into_iter().flatten();
    let found = candidates.filter_map(|path| Some((written(&path).ok()?, path)));
    match found.max_by_key(|(age, _)| *age) {
        Some((_, path)) => Ok(Some(path)),
        None => {
            let reason =
                if target.exists() { "it has no manifest.json" } else { "it does not exist" };
            Err(CheckpointError::StaleLast { file, target, reason })
        }
    }
}

/// The checkpoint of most iterations in a folder, of those with a manifest.
fn furthest(work_dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(work_dir).into_iter().flatten().flatten();
    let iterations = |path: &Path| {
        let is_whole = path.join(MANIFEST).is_file();
        let state = std::fs::read(path.join("state.json")).ok().filter(|_| is_whole)?;
        let state: serde_json::Value = serde_json::from_slice(&state).ok()?;
        state["meta"]["iter"].as_u64()
    };
    let is_hidden =
        |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    entries
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path))
        .filter_map(|path| Some((iterations(&path)?, path)))
        .max()
        .map(|(_, path)| path)
}

/// Removes a checkpoint; nothing half-removed bears its name, at no time. A missing one is no error.
///
/// Errors: what is there is no checkpoint, or cannot be removed.
pub fn remove(path: &Path) -> Result<(), CheckpointError> {
    check_removable(path)?;
    let (Some(folder), Some(name), true) = (path.parent(), path.file_name(), path.exists()) else {
        return Ok(());
    };
    let hidden = hidden_path(folder, &name.to_string_lossy(), Purpose::Removed);
    remove_any(&hidden)?;
    std::fs::rename(path, &hidden).map_err(CheckpointError::write(path))?;
    remove_any(&hidden)
}

/// Whether what is there, if anything is, may be removed.
///
/// Errors: it is no checkpoint.
pub(super) fn check_removable(path: &Path) -> Result<(), CheckpointError> {
    if !path.exists() || path.join(MANIFEST).exists() {
        return Ok(());
    }
    let found = if path.is_dir() { "a folder without one" } else { "a file" };
    Err(CheckpointError::NotACheckpoint { path: path.to_owned(), found: found.to_owned() })
}
