//! How much disk space assembling needs, and whether it is there.

use std::path::Path;

use super::error::LibtorchError;
use super::recipe::Wheel;

const MB: u64 = 1_000_000;
/// For the file system's own needs and sizes that changed a little.
const MARGIN_BYTES: u64 = 100 * MB;

/// The free space for this user on the disk that holds `path` (or its nearest existing parent).
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(existing).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The most that assembling takes while it runs, when these wheels are still to be fetched.
///
/// pip holds two copies of the wheel in work; later the wheels and what is unpacked lie side by side.
pub(crate) fn needed_bytes<'a>(all: &'a [Wheel], missing: impl Iterator<Item = &'a Wheel>) -> u64 {
    let unpacked: u64 = all.iter().map(|wheel| wheel.unpacked_bytes).sum();
    let mut largest = 0;
    let mut fetched = 0;
    for wheel in missing {
        largest = largest.max(wheel.download_bytes);
        fetched += wheel.download_bytes;
    }
    fetched + largest.max(unpacked) + MARGIN_BYTES
}

/// Refuses a disk with too little space, before anything is fetched.
pub(crate) fn check(folder: &Path, needed: u64, free: Option<u64>) -> Result<(), LibtorchError> {
    match free {
        Some(free) if free < needed => Err(LibtorchError::Space {
            folder: folder.to_path_buf(),
            needed_mb: needed.div_ceil(MB),
            free_mb: free / MB,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libtorch::Recipe;

    #[test]
    fn the_whole_needs_less_than_the_documented_space() {
        let recipe = Recipe::for_this_machine().unwrap();
        let needed = needed_bytes(&recipe.wheels, recipe.wheels.iter());
        assert!((1_000 * MB..1_600 * MB).contains(&needed), "{needed}");
    }

    #[test]
    fn wheels_that_are_there_are_not_counted_again() {
        let recipe = Recipe::for_this_machine().unwrap();
        let unpacked: u64 = recipe.wheels.iter().map(|wheel| wheel.unpacked_bytes).sum();
        assert_eq!(needed_bytes(&recipe.wheels, std::iter::empty()), unpacked + MARGIN_BYTES);
    }

    #[test]
    fn too_little_space_is_refused_with_both_numbers() {
        let error = check(Path::new("/cache"), 1_500 * MB, Some(20 * MB)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("/cache: expected 1500 MB of free disk space, found 20 MB"),
            "{text}"
        );
        assert!(check(Path::new("/cache"), MB, Some(MB)).is_ok());
        assert!(check(Path::new("/cache"), MB, None).is_ok());
    }

    #[test]
    fn free_space_is_known_for_a_folder_that_is_not_there_yet() {
        assert!(free_bytes(Path::new("/not/there/yet")).is_some());
    }
}
