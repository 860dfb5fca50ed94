//! What a validation adds to the checkpoint that was saved before it: a file beside the others, whole or not there.
//!
//! A checkpoint of an epoch is saved before the validation that follows, so that a crash in the validation loses nothing. What
//! the validation then changes (best scores, patience, rates that follow a metric) is JSON only, and is written afterwards
//! into `after_validation.json`: the SHA-256 of the rest on the first line, then the state in place of `state.json`'s. A
//! checkpoint without it is as good: a run that is resumed from it begins with the validation.

use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::CheckpointError;
use super::files::{HashedFile, sync_folder};
use super::manifest::{MANIFEST, hex};

const NAME: &str = "after_validation.json";

/// Adds the state after a validation to a checkpoint; nothing happens when the checkpoint was removed meanwhile.
///
/// Errors: a full disk, a folder that cannot be written to; the checkpoint is as it was then.
pub(super) fn write(checkpoint: &Path, state: &Json) -> Result<(), CheckpointError> {
    if !checkpoint.join(MANIFEST).exists() {
        return Ok(());
    }
    let draft = checkpoint.join(format!(".{NAME}.writing"));
    let target = checkpoint.join(NAME);
    let write = || {
        let text = serde_json::to_vec(state)?;
        let _ = std::fs::remove_file(&draft);
        let mut file = HashedFile::create(&draft)?;
        file.write_all(hex(Sha256::new_with_prefix(&text)).as_bytes())?;
        file.write_all(b"\n")?;
        file.write_all(&text)?;
        file.finish(NAME)?;
        std::fs::rename(&draft, &target)?;
        sync_folder(checkpoint)
    };
    write().map_err(|error| {
        // The first error is the one to tell; the draft is never read.
        let _ = std::fs::remove_file(&draft);
        CheckpointError::Write { path: target.clone(), source: error }
    })
}

/// The state after the validation, if there is one.
///
/// Errors: it cannot be read, or is not what was written.
pub(super) fn read(checkpoint: &Path) -> Result<Option<Json>, CheckpointError> {
    let path = checkpoint.join(NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CheckpointError::Read { path, source: error }),
    };
    let (expected, text) = text.split_once('\n').unwrap_or((&text, ""));
    let found = hex(Sha256::new_with_prefix(text));
    if expected != found {
        return Err(CheckpointError::Damaged { path, expected: expected.to_owned(), found });
    }
    let malformed = |error: serde_json::Error| CheckpointError::Malformed {
        path: path.clone(),
        expected: "JSON",
        found: error.to_string(),
    };
    serde_json::from_str(text).map(Some).map_err(malformed)
}
