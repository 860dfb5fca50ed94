//! A copy of a checkpoint with chosen parts only, for people who use the weights.
//!
//! Source: `_publish_model` in `mmengine/hooks/checkpoint_hook.py`: the parts by the same names, the hash in the name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::manifest;
use super::write::MODEL;
use super::{Checkpoint, CheckpointError, load, save};

/// Writes `epoch_3-1a2b3c4d` beside `epoch_3`, with the parts of these names; returns its path.
///
/// The digits are the first of the weights' SHA-256.
///
/// Errors: the checkpoint cannot be read, or the copy not be written.
pub fn publish(path: &Path, keys: &[&str]) -> Result<PathBuf, CheckpointError> {
    let weights = format!("{MODEL}.safetensors");
    let files = manifest::read(path)?;
    let hash = files.iter().find(|file| file.name == weights).map_or("", |file| &file.sha256);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{name}-{}", hash.get(..8).unwrap_or_default());
    let whole = load(path)?;
    let has = |key: &str| keys.contains(&key);
    let mut entries = Map::new();
    for (key, entry) in [("param_schedulers", "param_schedulers"), ("message_hub", "messages")] {
        if let Some(value) = whole.entries.get(entry).filter(|_| has(key)) {
            entries.insert(entry.to_owned(), value.clone());
        }
    }
    let part = Checkpoint {
        meta: if has("meta") { whole.meta } else { Json::Object(Map::new()) },
        model: if has("state_dict") { whole.model } else { Vec::new() },
        optimizer: whole.optimizer.filter(|_| has("optimizer")),
        entries,
        ..Checkpoint::default()
    };
    save(&part, path.parent().unwrap_or(Path::new("")), &name)
}
