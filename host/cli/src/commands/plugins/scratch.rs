//! A folder of its own for a plugin that is tried, so that what its hooks write is gone afterwards.

use std::path::{Path, PathBuf};

/// A folder that goes with this value.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> std::io::Result<Scratch> {
        let (parent, id) = (std::env::temp_dir(), std::process::id());
        for number in 0..u32::MAX {
            let folder = parent.join(format!("snaphook-check-{id}-{number}"));
            match std::fs::create_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| Scratch(folder)),
            }
        }
        Err(std::io::Error::other("no name is left for a folder"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst, in a folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
