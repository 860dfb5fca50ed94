//! TIFF: grey, RGB and CMYK of 8 or 16 bits, black and white; of several pages, the first.
//! Knows nothing of files.
//!
//! Source: OpenCV 4.11 `grfmt_tiff.cpp` and libtiff's `tif_getimage.c`: 16 bits become 8, and colours are multiplied by an
//! alpha that is not in them yet. We differ in one point: a picture on its side is turned
//! upright, where OpenCV fails.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::Image;
use super::formats::{Stored, checked_size};

/// Value of `ExtraSamples` for an alpha that the colours are not multiplied by.
const UNASSOCIATED_ALPHA: u16 = 2;

pub(super) fn decode(bytes: &[u8]) -> Result<Stored, String> {
    let broken = |e| format!("not a TIFF that can be read: {e}");
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions().map_err(broken)?;
    let [width, height] = checked_size("TIFF", width.into(), height.into())?;
    let colour = decoder.colortype().map_err(broken)?;
    let orientation: Option<u16> = decoder.find_tag_unsigned(Tag::Orientation).map_err(broken)?;
    let extra: Option<Vec<u16>> =
        decoder.find_tag_unsigned_vec(Tag::ExtraSamples).map_err(broken)?;
    let is_unassociated = extra.is_some_and(|kinds| kinds.first() == Some(&UNASSOCIATED_ALPHA));

    let pixels = width * height;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = limits.decoding_buffer_size.max(pixels.saturating_mul(8));
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = decoder.with_limits(limits);
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(broken)?;
    // libtiff rounds the colours of 16 bits, and cuts their grey.
    let is_colour = colour.num_samples() >= 3;
    let eight_bits = |word: u16| match is_colour {
        true => ((u32::from(word) + 128) / 257) as u8,
        false => (word >> 8) as u8,
    };
    let bytes = match samples {
        DecodingResult::U8(bytes) => bytes,
        DecodingResult::U16(words) => words.into_iter().map(eight_bits).collect(),
        _ => {
            return Err(
                "expected a TIFF of unsigned 8 or 16 bits, found another kind of number".to_owned()
            );
        }
    };
    let bytes = match layout.planes {
        0 | 1 => bytes,
        planes => together(&bytes, planes, pixels),
    };
    let bgr = match colour {
        ColorType::Gray(1) => black_and_white(&bytes, width),
        ColorType::Gray(8 | 16) => bytes.iter().flat_map(|level| [*level; 3]).collect(),
        // Grey with an alpha.
        ColorType::Multiband { bit_depth: 8 | 16, num_samples } => {
            bytes.chunks_exact(num_samples.max(1).into()).flat_map(|p| [p[0]; 3]).collect()
        }
        ColorType::RGB(8 | 16) => bytes.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect(),
        ColorType::RGBA(8 | 16) if is_unassociated => {
            bytes.chunks_exact(4).flat_map(multiplied).collect()
        }
        ColorType::RGBA(8 | 16) => bytes.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect(),
        ColorType::CMYK(8) => bytes.chunks_exact(4).flat_map(cmyk).collect(),
        other => {
            return Err(format!(
                "expected a grey, RGB or CMYK TIFF of 1, 8 or 16 bits, found {other:?}"
            ));
        }
    };
    let image = Image::new(width, height, bgr).ok_or("the TIFF has too few pixels")?;
    Ok((image, orientation.unwrap_or(1)))
}

/// Planes of single colours as pixels of all colours.
fn together(planes: &[u8], count: usize, pixels: usize) -> Vec<u8> {
    (0..pixels)
        .flat_map(|pixel| (0..count).map(move |plane| planes[plane * pixels + pixel]))
        .collect()
}

/// Rows of bits, each filled up to whole bytes.
fn black_and_white(bits: &[u8], width: usize) -> Vec<u8> {
    let level = |row: &[u8], x: usize| if row[x / 8] & (0x80 >> (x % 8)) == 0 { 0 } else { 255 };
    let row = |row: &[u8]| (0..width).flat_map(|x| [level(row, x); 3]).collect::<Vec<u8>>();
    bits.chunks_exact(width.div_ceil(8)).flat_map(row).collect()
}

/// Blue, green and red, each multiplied by the alpha.
fn multiplied(pixel: &[u8]) -> [u8; 3] {
    [2, 1, 0].map(|c| ((u16::from(pixel[c]) * u16::from(pixel[3]) + 127) / 255) as u8)
}

fn cmyk(pixel: &[u8]) -> [u8; 3] {
    let black = 255 - u16::from(pixel[3]);
    [2, 1, 0].map(|ink| (black * (255 - u16::from(pixel[ink])) / 255) as u8)
}
