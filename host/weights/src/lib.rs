//! Where trained weights come from: `torchvision://resnet50`, `https://…/model-1a2b3c4d.pth`, or a file.
//! Knows nothing of what is in them.
//!
//! ```text
//! name ─► names ─► address ─► cache: there already? ─► checksum ─► file
//!                                 └─ no ─► download ─► checksum ─► renamed into the cache
//! ```
//!
//! The cache is PyTorch's own, so that nothing is fetched twice on a machine where both are used.
//!
//! ```
//! # fn main() -> Result<(), snaphook_weights::WeightsError> {
//! let file = snaphook_weights::locate("work_dirs/mine/epoch_3.pth")?;
//! assert_eq!(file, std::path::Path::new("work_dirs/mine/epoch_3.pth"));
//! assert!(snaphook_weights::address("torchvision://resnet50")?.ends_with("resnet50-0676ba61.pth"));
//! # Ok(())
//! # }
//! ```

mod cache;
mod checksum;
mod download;
mod error;
mod names;

use std::path::PathBuf;

pub use cache::Cache;
pub use error::WeightsError;
pub use names::address;

/// The file that `source` means: a path as it is, an address or a name from the cache, fetched first where it is not
/// there.
///
/// Errors: an unknown name; an address that cannot be fetched; a file whose checksum is not the one in its name.
pub fn locate(source: &str) -> Result<PathBuf, WeightsError> {
    if !is_remote(source) {
        return Ok(PathBuf::from(source.strip_prefix("file://").unwrap_or(source)));
    }
    Cache::of_this_user()?.file(&address(source)?)
}

/// Whether [`locate`] knows what to do with `source`, which is an address or a name: of other schemes somebody else may know.
pub fn has_address(source: &str) -> bool {
    source.starts_with("file://") || address(source).is_ok() || is_misspelt(source)
}

/// A name that is not known, of a scheme that is.
fn is_misspelt(source: &str) -> bool {
    matches!(address(source), Err(WeightsError::Name { .. }))
}

/// Whether `source` is an address or a name, and no path.
pub fn is_remote(source: &str) -> bool {
    source.contains("://") && !source.starts_with("file://")
}
