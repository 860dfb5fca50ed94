//! Files that are flushed to the disk and hashed while they are written.
//! Knows nothing of their content.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::{FileRecord, hex};

/// A file on its way to the disk.
pub(super) struct HashedFile {
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

impl HashedFile {
    pub(super) fn create(path: &Path) -> io::Result<HashedFile> {
        let file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        Ok(HashedFile { file, hasher: Sha256::new(), bytes: 0 })
    }

    /// Waits until the content is on the disk.
    pub(super) fn finish(self, name: &str) -> io::Result<FileRecord> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(FileRecord { name: name.to_owned(), bytes: self.bytes, sha256: hex(self.hasher) })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Waits until the entries of a folder are on the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
