//! What can be wrong with a JPEG file.
//! Knows nothing of the file's name.

/// Why a JPEG is no picture for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::image) enum JpegError {
    /// Data that must be there are not.
    #[error("the JPEG is truncated: {0}")]
    Truncated(&'static str),
    /// Bytes that no encoder writes.
    #[error("not a whole JPEG: {0}")]
    Broken(&'static str),
    /// A kind that is not decoded.
    #[error("a JPEG of a kind that cannot be read: {0}")]
    Unsupported(&'static str),
}
