//! The list of a checkpoint's files with their hashes, which makes a folder a checkpoint.
//! Knows nothing of what is in the files.

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::CheckpointError;

pub(super) const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "snaphook checkpoint";
/// Raised when a reader of the version before would misunderstand a checkpoint.
pub(super) const VERSION: u64 = 1;

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRecord {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

pub(super) fn to_json(files: &[FileRecord]) -> Json {
    let records = files
        .iter()
        .map(|file| (file.name.clone(), json!({ "bytes": file.bytes, "sha256": file.sha256 })));
    let records: Map<String, Json> = records.collect();
    json!({ "format": FORMAT, "version": VERSION, "files": records })
}

/// Reads the manifest of the checkpoint in `folder`.
pub(super) fn read(folder: &Path) -> Result<Vec<FileRecord>, CheckpointError> {
    let path = folder.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(nothing_there(folder));
        }
        Err(error) if folder.is_file() => {
            drop(error);
            return Err(nothing_there(folder));
        }
        Err(error) => return Err(CheckpointError::Read { path, source: error }),
    };
    let malformed = |found: String| CheckpointError::Malformed {
        path: path.clone(),
        expected: "the manifest of a checkpoint",
        found,
    };
    let json: Json = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    let version = json["version"].as_u64().filter(|_| json["format"] == FORMAT);
    match version {
        None => return Err(malformed(format!("no \"format\": \"{FORMAT}\" with a version"))),
        Some(found) if found > VERSION => {
            return Err(CheckpointError::Newer {
                path: folder.to_owned(),
                found,
                supported: VERSION,
            });
        }
        Some(_) => {}
    }
    records(&json).ok_or_else(|| malformed("no list of files with sizes and hashes".into()))
}

fn records(json: &Json) -> Option<Vec<FileRecord>> {
    let files = json["files"].as_object()?.iter();
    let record = |(name, file): (&String, &Json)| {
        // A name from a file must not lead out of the folder.
        let is_plain = !name.contains(['/', '\\']) && !name.starts_with('.');
        let record = FileRecord {
            name: name.clone(),
            bytes: file["bytes"].as_u64()?,
            sha256: file["sha256"].as_str()?.to_owned(),
        };
        is_plain.then_some(record)
    };
    files.map(record).collect()
}

fn nothing_there(folder: &Path) -> CheckpointError {
    let path = folder.to_owned();
    if folder.is_file() {
        let is_pth = folder.extension().is_some_and(|ending| ending == "pth" || ending == "pt");
        let found = if is_pth { "a PyTorch file" } else { "a file" };
        return CheckpointError::NotACheckpoint { path, found: found.into() };
    }
    if folder.is_dir() {
        return CheckpointError::NotACheckpoint { path, found: "a folder without one".into() };
    }
    CheckpointError::NotFound { path }
}

/// A hash as it is written in the manifest.
pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
