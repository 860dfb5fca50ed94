//! Loading from a copy that nobody else can write, so that a plugin's file may be overwritten while a run has it open.
//! Knows nothing of plugins.

use crate::identity::FileIdentity;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A copy; removed when this is dropped, which does not disturb who has it open.
pub(crate) struct PrivateCopy {
    path: PathBuf,
    pub(crate) identity: FileIdentity,
}

impl PrivateCopy {
    /// Copies `file` into `folder`, provided that its content has this SHA-256.
    ///
    /// Errors: the file changed, or the folder cannot be written.
    pub(crate) fn of(file: &Path, sha256: &str, folder: &Path) -> io::Result<PrivateCopy> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{stem}.{}.{number}.so", std::process::id()));
        let target = OpenOptions::new().write(true).create_new(true).mode(0o500).open(&path)?;
        // From here on dropping removes what was begun.
        let mut copy = PrivateCopy { path, identity: FileIdentity::of(&target.metadata()?) };
        if fill(file, target)? != sha256 {
            return Err(io::Error::other("it changed while it was copied (start again)"));
        }
        copy.identity = FileIdentity::of(&std::fs::metadata(&copy.path)?);
        Ok(copy)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies; the SHA-256 of what was copied.
fn fill(file: &Path, mut target: File) -> io::Result<String> {
    let mut source = crate::identity::open_file(file)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let length = source.read(&mut part)?;
        if length == 0 {
            break;
        }
        hash.update(&part[..length]);
        target.write_all(&part[..length])?;
    }
    Ok(crate::elf::hexadecimal(&hash.finalize()))
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // A folder that is gone meanwhile holds no copy either.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::PrivateCopy;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn copy_has_the_expected_content_or_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copies) = (folder.path().join("liba.so"), folder.path().join("cache/copies"));
        std::fs::write(&file, "abc").unwrap();
        let copy = PrivateCopy::of(&file, ABC, &copies).unwrap();
        assert_eq!(std::fs::read(copy.path()).unwrap(), b"abc");
        assert!(copy.identity.is_at(copy.path()));
        std::fs::write(&file, "abd").unwrap();
        assert!(PrivateCopy::of(&file, ABC, &copies).is_err());
        drop(copy);
        assert_eq!(std::fs::read_dir(&copies).unwrap().count(), 0);
    }
}
