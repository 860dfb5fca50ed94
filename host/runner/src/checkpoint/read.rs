//! Reads a checkpoint and verifies that every file is what was written.
//! Knows nothing of models.

use std::path::Path;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::manifest::{self, FileRecord, hex};
use super::write::{MODEL, OPTIMIZER, STATE};
use super::{Checkpoint, CheckpointError, pth, supplement, tensors};
use crate::optim::OptimState;

/// Reads the checkpoint at `path`; its tensors come to the CPU, sorted by name. A `.pth` file gives its weights.
///
/// Errors: nothing or something else there, a file missing or changed, written by a later version.
pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    if pth::is_pth(path) {
        return pth::load(path);
    }
    let files = manifest::read(path)?;
    let mut state = newest_state(path, &files)?;
    let group = |name: &str| {
        let file = format!("{name}.safetensors");
        let bytes = read_verified(path, &files, &file)?;
        tensors::read(&bytes, &path.join(file))
    };
    let mut checkpoint =
        Checkpoint { meta: state["meta"].take(), model: group(MODEL)?, ..Checkpoint::default() };
    let scalars = state["optimizer"].take();
    if !scalars.is_null() {
        checkpoint.optimizer = Some(OptimState { scalars, tensors: group(OPTIMIZER)? });
    }
    for name in state["groups"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        checkpoint.tensors.insert(name.to_owned(), group(name)?);
    }
    if let Json::Object(entries) = state["entries"].take() {
        checkpoint.entries = entries;
    }
    Ok(checkpoint)
}

/// Reads only what a checkpoint says of itself, its `meta`.
///
/// Errors: as [`load`], for the files that are read.
pub fn read_meta(path: &Path) -> Result<Json, CheckpointError> {
    if pth::is_pth(path) {
        return pth::read_meta(path);
    }
    let files = manifest::read(path)?;
    Ok(newest_state(path, &files)?["meta"].take())
}

/// What the validation after the save left, or what the save itself did.
fn newest_state(path: &Path, files: &[FileRecord]) -> Result<Json, CheckpointError> {
    let saved = read_state(path, files)?;
    Ok(supplement::read(path)?.unwrap_or(saved))
}

fn read_state(path: &Path, files: &[FileRecord]) -> Result<Json, CheckpointError> {
    let bytes = read_verified(path, files, STATE)?;
    let malformed =
        |found| CheckpointError::Malformed { path: path.join(STATE), expected: "JSON", found };
    let state: Json =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if state.is_object() {
        Ok(state)
    } else {
        Err(malformed("found something else than an object".into()))
    }
}

fn read_verified(
    folder: &Path,
    files: &[FileRecord],
    name: &str,
) -> Result<Vec<u8>, CheckpointError> {
    let path = folder.join(name);
    let record = files.iter().find(|file| file.name == name);
    let record = record.ok_or_else(|| CheckpointError::MissingFile { path: path.clone() })?;
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CheckpointError::MissingFile { path });
        }
        Err(error) => return Err(CheckpointError::Read { path, source: error }),
    };
    let found = hex(Sha256::new_with_prefix(&bytes));
    if bytes.len() as u64 == record.bytes && found == record.sha256 {
        return Ok(bytes);
    }
    Err(CheckpointError::Damaged { path, expected: record.sha256.clone(), found })
}
