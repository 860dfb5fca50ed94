//! Checkpoints that a URL names, which a hook brings before the run starts. Knows nothing of what is behind a URL.

use std::path::Path;

/// The URL, where what stands for a checkpoint is one and not a path.
///
/// ```
/// use snaphook_cli::checkpoint_url;
/// assert_eq!(checkpoint_url("s3://bucket/prefix".as_ref()), Some("s3://bucket/prefix"));
/// assert_eq!(checkpoint_url("work_dirs/a/epoch_1".as_ref()), None);
/// ```
pub fn checkpoint_url(checkpoint: &Path) -> Option<&str> {
    let text = checkpoint.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (!scheme.is_empty() && scheme.chars().all(is_scheme)).then_some(text)
}
