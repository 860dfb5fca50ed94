//! Takes the kept files out of a wheel; every file's checksum is verified on the way.
//!
//! Knows nothing of pip.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::LibtorchError;
use super::recipe::Wheel;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

const CHUNK_BYTES: usize = 1 << 20;

/// Whether the file ends as a wheel does; one that was cut off has no table of contents.
pub(crate) fn is_whole(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| ZipArchive::new(file).is_ok())
}

/// Unpacks the kept files of the wheel at `path` into `folder`.
pub(crate) fn unpack(
    wheel: &Wheel,
    path: &Path,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<(), LibtorchError> {
    let file = File::open(path).map_err(LibtorchError::io("read it", path))?;
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(path, error))?;
    let mut progress =
        Progress::start(&format!("unpacking {}", wheel.requirement), wheel.unpacked_bytes);
    let mut done_bytes = 0;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|error| damaged(path, error))?;
        let name = member.name().map_err(|error| damaged(path, error))?.into_owned();
        let Some(destination) = wheel.destination(&name) else { continue };
        let destination = folder.join(destination);
        let mut writer = create(&destination)?;
        let mut chunk = vec![0; CHUNK_BYTES.min(member.size() as usize + 1)];
        loop {
            let count = member.read(&mut chunk).map_err(|error| damaged(path, error.into()))?;
            if count == 0 {
                break;
            }
            writer
                .write_all(&chunk[..count])
                .map_err(LibtorchError::io("write it", &destination))?;
            done_bytes += count as u64;
            progress.at(done_bytes);
            if interrupt.is_asked() {
                return Err(LibtorchError::Interrupted);
            }
        }
    }
    progress.finish();
    Ok(())
}

fn create(path: &Path) -> Result<File, LibtorchError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(LibtorchError::io("make this folder", parent))?;
    }
    File::create(path).map_err(LibtorchError::io("write it", path))
}

/// Removes the wheel as well: the next run must not trust it again.
fn damaged(path: &Path, source: ZipError) -> LibtorchError {
    // If it cannot be removed, the next run finds the damage again and says so.
    let _ = fs::remove_file(path);
    LibtorchError::DamagedWheel { wheel: path.to_path_buf(), source }
}
