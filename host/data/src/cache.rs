//! Decoded pictures kept in memory, up to a number of bytes.
//! Knows nothing of data sets: a path gives a picture.
//!
//! Mosaic reads each picture about four times an epoch, at random. Under random access every policy of
//! replacement has the same hit rate, so the first pictures stay, and nothing is ever moved out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::DataError;
use crate::image::{Image, Orientation, read_image_as};

/// Reads pictures, and remembers as many as fit into its budget.
#[derive(Debug)]
pub struct ImageCache {
    budget_bytes: usize,
    used_bytes: AtomicUsize,
    kept: RwLock<HashMap<(PathBuf, Orientation), Arc<Image>>>,
}

impl ImageCache {
    /// A cache that may hold `budget_bytes` of pixels; 0 keeps nothing.
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, used_bytes: AtomicUsize::new(0), kept: RwLock::default() }
    }

    /// The picture in the file.
    ///
    /// Errors: those of [`crate::image::read_image`].
    pub fn read(&self, path: &Path, orientation: Orientation) -> Result<Image, DataError> {
        if self.budget_bytes == 0 {
            return read_image_as(path, orientation);
        }
        let key = (path.to_owned(), orientation);
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(image) = kept {
            return Ok((*image).clone());
        }
        let image = read_image_as(path, orientation)?;
        let bytes = image.data().len();
        if self.used_bytes.load(Ordering::Relaxed) + bytes <= self.budget_bytes {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            if kept.insert(key, Arc::new(image.clone())).is_none() {
                self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_kept_until_the_budget_is_spent() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..3).map(|i| folder.path().join(format!("{i}.png"))).collect();
        for path in &paths {
            Image::filled(10, 10, [3; 3]).save(path).unwrap();
        }
        let cache = ImageCache::new(700);
        for path in &paths {
            cache.read(path, Orientation::Applied).unwrap();
            std::fs::remove_file(path).unwrap();
        }
        let kept: Vec<bool> =
            paths.iter().map(|p| cache.read(p, Orientation::Applied).is_ok()).collect();
        assert_eq!(kept, [true, true, false]);
    }
}
