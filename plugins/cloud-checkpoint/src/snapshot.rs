//! A checkpoint as it was when it was saved, for as long as its upload takes: the run may remove its own copy meanwhile.
//! Hard links, so that it costs no space and no time. Knows nothing of clouds.

use crate::index::Entry;
use crate::settings::Destination;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The list of a checkpoint's files, its last one.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The folder in the work folder; what a run that was killed has left there is uploaded by the next one.
const FOLDER: &str = ".uploads";
const ENTRY: &str = ".entry.json";

/// Files that wait for their upload.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) folder: PathBuf,
    pub(crate) entry: Entry,
    /// Where it is to go; `None` where nobody has written that down.
    pub(crate) to: Option<Destination>,
    /// Names and sizes, without the manifest.
    pub(crate) files: Vec<FileRecord>,
}

/// A file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Snapshot {
    /// Of a checkpoint that has just been saved.
    pub(crate) fn take(
        work_dir: &Path,
        checkpoint: &Path,
        (epoch, iter, is_best): (u64, u64, bool),
        to: &Destination,
    ) -> io::Result<Snapshot> {
        let name = checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = fs::read(checkpoint.join(MANIFEST))?;
        let files = read_manifest(&manifest).map_err(io::Error::other)?;
        // The manifest is its last file.
        let saved_ms = milliseconds(fs::metadata(checkpoint.join(MANIFEST))?.modified()?);
        let entry = Entry { name, epoch, iter, is_best, saved_ms, manifest: sha256(&manifest) };
        let mut folder = work_dir.join(FOLDER).join(&entry.name);
        // One of this name that an earlier run has left may be on its way.
        while folder.exists() {
            folder.as_mut_os_string().push("~");
        }
        fs::create_dir_all(&folder)?;
        for file in files.iter().map(|file| file.name.as_str()) {
            let (from, to) = (checkpoint.join(file), folder.join(file));
            // Some file systems have no links.
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
        fs::write(folder.join(MANIFEST), &manifest)?;
        let kept = json!({
            "epoch": epoch, "iter": iter, "is_best": is_best, "saved_ms": saved_ms,
            "url": to.url, "endpoint": to.endpoint,
        });
        fs::write(folder.join(ENTRY), kept.to_string())?;
        Ok(Snapshot { folder, entry, to: Some(to.clone()), files })
    }

    /// Those that an earlier run has not uploaded, wherever they were to go, oldest first; what is not whole is removed.
    pub(crate) fn left_in(work_dir: &Path) -> Vec<Snapshot> {
        let Ok(entries) = fs::read_dir(work_dir.join(FOLDER)) else { return Vec::new() };
        let mut found = Vec::new();
        for folder in entries.flatten().map(|entry| entry.path()) {
            match Snapshot::reopen(&folder) {
                Some(snapshot) => found.push(snapshot),
                // It was never whole, so nobody waits for it; a leftover does no harm.
                None => drop(fs::remove_dir_all(&folder)),
            }
        }
        found.sort_by_key(|snapshot| snapshot.entry.saved_ms);
        found
    }

    fn reopen(folder: &Path) -> Option<Snapshot> {
        let manifest = fs::read(folder.join(MANIFEST)).ok()?;
        let kept: Json = serde_json::from_slice(&fs::read(folder.join(ENTRY)).ok()?).ok()?;
        let entry = Entry {
            name: folder.file_name()?.to_str()?.trim_end_matches('~').to_owned(),
            epoch: kept["epoch"].as_u64()?,
            iter: kept["iter"].as_u64()?,
            is_best: kept["is_best"].as_bool()?,
            saved_ms: kept["saved_ms"].as_u64()?,
            manifest: sha256(&manifest),
        };
        let (to, files) = (Destination::read(&kept), read_manifest(&manifest).ok()?);
        Some(Snapshot { folder: folder.to_owned(), entry, to, files })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Removes it after its upload.
    pub(crate) fn forget(&self) {
        // What cannot be removed is uploaded once more by the next run, which finds it there already.
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Removes the folder of all, if none is left: at the end, when nobody makes one in it.
    pub(crate) fn clear(work_dir: &Path) {
        // With something in it, it stays.
        let _ = fs::remove_dir(work_dir.join(FOLDER));
    }
}

/// The files that a manifest lists.
///
/// Errors: no manifest of a checkpoint, a name that leads out of its folder.
pub(crate) fn read_manifest(text: &[u8]) -> Result<Vec<FileRecord>, String> {
    let wrong =
        || format!("{MANIFEST}: expected the list of a checkpoint's files, found another file");
    let json: Json = serde_json::from_slice(text).map_err(|_| wrong())?;
    let record = |(name, file): (&String, &Json)| {
        let is_plain = !name.contains(['/', '\\']) && !name.starts_with('.');
        is_plain.then_some(FileRecord {
            name: name.clone(),
            bytes: file["bytes"].as_u64()?,
            sha256: file["sha256"].as_str()?.to_owned(),
        })
    };
    let files = json["files"].as_object().ok_or_else(wrong)?;
    files.iter().map(record).collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// SHA-256 as manifests write it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of a file, read piece by piece.
pub(crate) fn sha256_of_file(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (fs::File::open(path)?, Sha256::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(hasher)),
            length => hasher.update(&piece[..length]),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(folder: &Path) -> PathBuf {
        let checkpoint = folder.join("epoch_3");
        fs::create_dir_all(&checkpoint).unwrap();
        fs::write(checkpoint.join("model.safetensors"), b"weights").unwrap();
        let files = json!({ "model.safetensors": { "bytes": 7, "sha256": sha256(b"weights") } });
        fs::write(checkpoint.join(MANIFEST), json!({ "files": files }).to_string()).unwrap();
        checkpoint
    }

    #[test]
    fn a_snapshot_outlives_the_checkpoint_and_the_run() {
        let work = tempfile::tempdir().unwrap();
        let checkpoint = checkpoint(work.path());
        let to = Destination::new("s3://bucket/a", Some("http://host:9"));
        let taken = Snapshot::take(work.path(), &checkpoint, (3, 30, true), &to).unwrap();
        fs::remove_dir_all(&checkpoint).unwrap();
        assert_eq!(
            sha256_of_file(&taken.folder.join("model.safetensors")).unwrap(),
            sha256(b"weights")
        );
        let left = Snapshot::left_in(work.path());
        assert_eq!((left.len(), &left[0].entry), (1, &taken.entry));
        assert_eq!(left[0].to, Some(to));
        assert_eq!((left[0].bytes(), left[0].entry.is_best), (7, true));
        Snapshot::clear(work.path());
        assert!(taken.folder.exists(), "not while one is left");
        taken.forget();
        assert!(work.path().join(FOLDER).exists(), "another one may be on its way into it");
        Snapshot::clear(work.path());
        assert!(!work.path().join(FOLDER).exists());
    }

    #[test]
    fn what_was_cut_short_is_removed() {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir_all(work.path().join(FOLDER).join("epoch_1")).unwrap();
        assert!(Snapshot::left_in(work.path()).is_empty());
        assert!(!work.path().join(FOLDER).join("epoch_1").exists());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let manifest = json!({ "files": { "../x": { "bytes": 1, "sha256": "" } } }).to_string();
        assert!(read_manifest(manifest.as_bytes()).is_err());
    }
}
