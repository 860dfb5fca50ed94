//! WebP, lossless and lossy; of an animation, the first picture.
//! Knows nothing of files.
//!
//! Source: OpenCV 4.11 `grfmt_webp.cpp`: alpha is dropped, and an orientation in EXIF is left alone, other than in JPEG.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::Image;
use super::formats::{Stored, checked_size};

pub(super) fn decode(bytes: &[u8]) -> Result<Stored, String> {
    let broken = |e| format!("not a whole WebP: {e}");
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let [width, height] = checked_size("WebP", width.into(), height.into())?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; width * height * channels];
    decoder.read_image(&mut pixels).map_err(broken)?;
    let bgr = pixels.chunks_exact(channels).flat_map(|p| [p[2], p[1], p[0]]).collect();
    let image = Image::new(width, height, bgr).ok_or("the WebP has too few pixels")?;
    Ok((image, 1))
}
