//! The one EXIF entry that changes how a picture looks: its orientation.
//! Knows nothing of JPEG; gets the bytes of the EXIF block and trusts none of them.
//!
//! Source: TIFF 6.0 and Exif 2.3, tag 0x0112.

use super::{FlipDirection, Image};

/// The orientation, 1 to 8; 1 when the block holds none or is broken.
pub(super) fn orientation(block: &[u8]) -> u16 {
    read_orientation(block).filter(|o| (1..=8).contains(o)).unwrap_or(1)
}

fn read_orientation(block: &[u8]) -> Option<u16> {
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let (first, second) = (short(4)?, short(6)?);
    let directory = if little {
        usize::from(first) | usize::from(second) << 16
    } else {
        usize::from(first) << 16 | usize::from(second)
    };
    let entries = usize::from(short(directory)?);
    (0..entries)
        .map(|i| directory + 2 + i * 12)
        .find(|&at| short(at) == Some(0x0112))
        .and_then(|at| short(at + 8))
}

/// Turns a stored picture the way up that its orientation says.
pub(super) fn upright(mut image: Image, orientation: u16) -> Image {
    if orientation >= 5 {
        image = transposed(&image);
    }
    match orientation {
        2 | 6 => image.flip(FlipDirection::Horizontal),
        3 | 7 => image.flip(FlipDirection::Diagonal),
        4 | 8 => image.flip(FlipDirection::Vertical),
        _ => {}
    }
    image
}

fn transposed(image: &Image) -> Image {
    let (width, height) = (image.height(), image.width());
    let mut turned = Image::filled(width, height, [0; 3]);
    for y in 0..height {
        for x in 0..width {
            turned.set_pixel(x as i64, y as i64, image.pixel(y, x));
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(value: u8) -> Vec<u8> {
        let mut bytes = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        bytes.extend([value, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn orientation_is_read_and_broken_blocks_mean_upright() {
        assert_eq!(orientation(&block(6)), 6);
        assert_eq!(orientation(&block(77)), 1);
        assert_eq!(orientation(b"MM\0\x2a\xff\xff\xff\xff"), 1);
        assert_eq!(orientation(b""), 1);
        for cut in 0..block(6).len() {
            orientation(&block(6)[..cut]);
        }
    }

    #[test]
    fn each_orientation_puts_the_first_stored_pixel_where_exif_says() {
        // Stored 2 x 1: pixels 1 2. Orientation 6 is turned right for display: column 1 above 2.
        let stored = Image::new(2, 1, vec![1, 1, 1, 2, 2, 2]).unwrap();
        let shown = |o| {
            let image = upright(stored.clone(), o);
            (image.width(), image.data()[0])
        };
        assert_eq!([shown(1), shown(2), shown(3), shown(4)], [(2, 1), (2, 2), (2, 2), (2, 1)]);
        assert_eq!([shown(5), shown(6), shown(7), shown(8)], [(1, 1), (1, 1), (1, 2), (1, 2)]);
    }
}
