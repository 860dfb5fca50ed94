//! Which file it was, who may change it, and what is in it, byte for byte. Knows nothing of what files mean.

use sha2::{Digest, Sha256};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Which file it was, to see later whether it is still the same one. The time of the last change of the inode
/// cannot be set back, so equal identities mean equal content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    pub(crate) fn of(metadata: &Metadata) -> FileIdentity {
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the path still leads to this file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|now| FileIdentity::of(&now) == *self)
    }
}

/// Opens a file for reading. Without `O_NONBLOCK` a named pipe would make us wait for its writer.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The SHA-256 of the file that has this identity; `None` when the path leads to another file by now.
pub(crate) fn sha256(path: &Path, identity: &FileIdentity) -> io::Result<Option<String>> {
    let mut file = open_file(path)?;
    if FileIdentity::of(&file.metadata()?) != *identity {
        return Ok(None);
    }
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let length = file.read(&mut part)?;
        if length == 0 {
            break;
        }
        hash.update(&part[..length]);
    }
    let is_same = FileIdentity::of(&file.metadata()?) == *identity;
    Ok(is_same.then(|| crate::elf::hexadecimal(&hash.finalize())))
}

/// Why somebody else could change or replace the file, if somebody could: it, its folder, or a folder above.
pub(crate) fn untrusted(path: &Path) -> Option<String> {
    let Ok(file) = path.canonicalize() else {
        return Some("cannot be followed to its file (remove the link)".to_owned());
    };
    // SAFETY: reads a number of this process; it cannot fail.
    let me = unsafe { libc::geteuid() };
    file.ancestors().enumerate().find_map(|(height, path)| {
        let metadata = std::fs::metadata(path).ok()?;
        let is_mode_fine = untrusted_mode(&metadata, path, height > 1);
        untrusted_owner(&metadata, me, path).or(is_mode_fine)
    })
}

fn untrusted_owner(metadata: &Metadata, me: u32, path: &Path) -> Option<String> {
    let (owner, path) = (metadata.uid(), path.display());
    (owner != me && owner != 0).then(|| {
        format!("strict mode: expected {path} to belong to this user or to root, found user {owner} (chown it)")
    })
}

/// In a folder above, as `/tmp`, a sticky bit is enough: nobody else can rename or remove what is ours in it.
fn untrusted_mode(metadata: &Metadata, path: &Path, may_be_sticky: bool) -> Option<String> {
    let (mode, path) = (metadata.mode() & 0o7777, path.display());
    let is_sticky = may_be_sticky && mode & 0o1000 != 0;
    (mode & 0o022 != 0 && !is_sticky).then(|| {
        format!(
            "strict mode: expected that only its owner may write {path}, found mode {mode:o} (chmod go-w {path})"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{FileIdentity, sha256, untrusted};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn hash_is_that_of_the_content_and_only_of_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let identity = FileIdentity::of(&std::fs::metadata(&path).unwrap());
        let hash = sha256(&path, &identity).unwrap().unwrap();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        std::fs::write(folder.path().join("b"), "abd").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert_eq!(sha256(&path, &identity).unwrap(), None);
        assert!(!identity.is_at(&path));
    }

    #[test]
    fn file_or_folder_that_others_may_write_is_untrusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&path, "").unwrap();
        set(folder.path(), 0o755);
        set(&path, 0o644);
        assert_eq!(untrusted(&path), None);
        set(&path, 0o666);
        let reason = untrusted(&path).unwrap();
        assert!(reason.contains("found mode 666 (chmod go-w"), "{reason}");
        set(&path, 0o644);
        set(folder.path(), 0o777);
        assert!(untrusted(&path).unwrap().contains("found mode 777"));
        set(folder.path(), 0o755);
    }

    #[test]
    fn folder_above_that_others_may_write_is_untrusted_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("plugins");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("libx.so");
        std::fs::write(&path, "").unwrap();
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        set(&inner, 0o755);
        set(&path, 0o644);
        set(folder.path(), 0o1777);
        assert_eq!(untrusted(&path), None);
        set(folder.path(), 0o777);
        let reason = untrusted(&path).unwrap();
        assert!(
            reason.contains(&format!("may write {}, found", folder.path().display())),
            "{reason}"
        );
        set(&inner, 0o1777);
        set(folder.path(), 0o755);
        assert!(untrusted(&path).is_some());
        set(&inner, 0o755);
    }
}
