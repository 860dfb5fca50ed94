//! A copy of a checkpoint with chosen parts only, for people who use the weights.
//!
//! Source: `_publish_model` in `mmengine/hooks/checkpoint_hook.py`: the parts by the same names, the hash in the name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::folder::{Purpose, hidden_path};
use super::manifest::{self, hex};
use super::{Checkpoint, CheckpointError, EMA, load, save};

/// Writes `epoch_3-1a2b3c4d` beside `epoch_3`, with the parts of these names; returns its path. Other names are no parts
/// and left out.
///
/// The digits are the first of the SHA-256 of the SHA-256s of its files, so that other content has another name.
///
/// Errors: the checkpoint cannot be read, or the copy not be written.
pub fn publish(path: &Path, keys: &[&str]) -> Result<PathBuf, CheckpointError> {
    let mut whole = load(path)?;
    let has = |key: &str| keys.contains(&key);
    let mut entries = Map::new();
    let mut names = vec![("param_schedulers", "param_schedulers"), ("message_hub", "messages")];
    names.push(("ema_state_dict", "ema"));
    for (key, entry) in names {
        if let Some(value) = whole.entries.get(entry).filter(|_| has(key)) {
            entries.insert(entry.to_owned(), value.clone());
        }
    }
    let mut part = Checkpoint {
        meta: if has("meta") { whole.meta } else { Json::Object(Map::new()) },
        model: if has("state_dict") { whole.model } else { Vec::new() },
        optimizer: whole.optimizer.filter(|_| has("optimizer")),
        entries,
        ..Checkpoint::default()
    };
    if let Some(raw) = whole.tensors.remove(EMA).filter(|_| has("ema_state_dict")) {
        part.tensors.insert(EMA.to_owned(), raw);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Its name follows from its content, so that it has another one until it is whole.
    let draft = hidden_path(folder, &format!("{name}-published"), Purpose::Writing);
    let draft_name = draft.file_name().unwrap_or_default().to_string_lossy();
    let draft = save(&part, folder, &draft_name)?;
    let mut hasher = Sha256::new();
    manifest::read(&draft)?.iter().for_each(|file| hasher.update(&file.sha256));
    let hash = hex(hasher);
    let target = folder.join(format!("{name}-{}", hash.get(..8).unwrap_or_default()));
    super::write::remove_any(&target)?;
    std::fs::rename(&draft, &target).map_err(CheckpointError::write(&target))?;
    Ok(target)
}
