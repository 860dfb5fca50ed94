//! Pictures that are neither JPEG nor PNG: BMP, WebP and TIFF.
//! Knows nothing of files; what a picture is, its first bytes say.

use super::{Image, bmp, tiff, webp};

/// Longest side that is read, in pixels, as for JPEG.
const LONGEST_SIDE: usize = 65_500;

/// A picture as it is stored, and its orientation as EXIF counts it.
pub(super) type Stored = (Image, u16);

/// Decodes a BMP, WebP or TIFF file; `None` if it is none of them.
pub(super) fn decode(bytes: &[u8]) -> Option<Result<Stored, String>> {
    Some(match bytes {
        [b'B', b'M', ..] => bmp::decode(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp::decode(bytes),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => tiff::decode(bytes),
        _ => return None,
    })
}

/// The size of a picture of `kind`, if it has one that can be held.
pub(super) fn checked_size(kind: &str, width: u64, height: u64) -> Result<[usize; 2], String> {
    let side =
        |side: u64| usize::try_from(side).ok().filter(|side| (1..=LONGEST_SIDE).contains(side));
    let both = side(width).zip(side(height));
    let (width, height) = both.ok_or_else(|| {
        format!("expected a {kind} of 1 to {LONGEST_SIDE} pixels a side, found {width} x {height}")
    })?;
    Ok([width, height])
}
