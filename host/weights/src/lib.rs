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
    match source.strip_prefix("file://") {
        Some(path) => Ok(path.into()),
        None if !source.contains("://") => Ok(source.into()),
        None => Cache::of_this_user()?.file(&address(source)?),
    }
}

/// Whether [`locate`] knows the scheme of `source`: of other schemes somebody else may know. A path has none.
///
/// ```
/// use snaphook_weights::knows_scheme;
/// assert!(knows_scheme("torchvision://resnet50") && knows_scheme("file:///a.pth"));
/// assert!(!knows_scheme("s3://bucket/run") && !knows_scheme("work_dirs/a/epoch_1"));
/// ```
pub fn knows_scheme(source: &str) -> bool {
    source.starts_with("file://") || !matches!(address(source), Err(WeightsError::Scheme(_)))
}
