//! BMP: with a palette, run lengths, 16, 24 and 32 bits, from below or from above.
//! Knows nothing of files.
//!
//! Source: OpenCV 4.11 `grfmt_bmp.cpp`: five bits become eight by zeros at their end, alpha is dropped, and what run
//! lengths leave out has the palette's first colour. Our own reader, since the crates at hand take a file that is cut off,
//! or bring a colour management along. We differ in one point: a file that is cut off is an error.

use super::Image;
use super::formats::{Stored, checked_size};

const FILE_HEADER: usize = 14;

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Places in the palette, of 1, 4 or 8 bits.
    Palette(u16),
    /// The same, as run lengths, of 4 or 8 bits.
    Runs(u16),
    /// Five bits of red, green and blue, from the upper end.
    Bits555,
    /// Five, six and five bits.
    Bits565,
    /// Blue, green, red, and perhaps a fourth byte: so many bytes.
    Bytes(usize),
}

struct Header {
    size: [usize; 2],
    is_from_above: bool,
    kind: Kind,
    /// Blue, green and red.
    palette: Vec<[u8; 3]>,
    pixels_at: usize,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Stored, String> {
    let header = Header::read(bytes)?;
    let [width, height] = header.size;
    let data = bytes.get(header.pixels_at..).unwrap_or_default();
    // From below, in the order of the file.
    let rows = match header.kind {
        Kind::Runs(bits) => {
            let places = run_lengths(data, header.size, bits).ok_or_else(cut_off)?;
            places.iter().flat_map(|place| header.colour(*place)).collect()
        }
        _ => header.plain_rows(data).ok_or_else(cut_off)?,
    };
    let upright: Vec<u8> = if header.is_from_above {
        rows
    } else {
        rows.chunks_exact(width * 3).rev().flatten().copied().collect()
    };
    let image = Image::new(width, height, upright).ok_or_else(cut_off)?;
    Ok((image, 1))
}

fn cut_off() -> String {
    "not a whole BMP: its pixels end early".to_owned()
}

/// Bytes as numbers, from the lower end; `None` behind the last one.
#[derive(Clone, Copy)]
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn two(self, at: usize) -> Option<u16> {
        let bytes = self.0.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    fn four(self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let short = || "not a whole BMP: its header ends early".to_owned();
        let at = Numbers(bytes);
        let pixels_at = at.four(10).ok_or_else(short)? as usize;
        let length = at.four(FILE_HEADER).ok_or_else(short)? as usize;
        if length == 12 {
            let sides = at.two(18).zip(at.two(20)).ok_or_else(short)?;
            let bits = at.two(24).ok_or_else(short)?;
            let size = checked_size("BMP", sides.0.into(), sides.1.into())?;
            let kind = kind(bits, 0, None)?;
            let palette = palette(bytes, FILE_HEADER + length, 3, 1 << bits.min(8));
            return Ok(Self { size, is_from_above: false, kind, palette, pixels_at });
        }
        if length < 36 {
            return Err(format!(
                "expected a BMP with a header of 12 or at least 36 bytes, found {length}"
            ));
        }
        let height = at.four(22).ok_or_else(short)? as i32;
        let width = at.four(18).ok_or_else(short)?;
        let size = checked_size("BMP", width.into(), height.unsigned_abs().into())?;
        let (bits, compression) = at.two(28).zip(at.four(30)).ok_or_else(short)?;
        let masks = [54, 58, 62].map(|place| at.four(place).unwrap_or_default());
        let kind = kind(bits, compression, Some(masks))?;
        let used = at.four(46).filter(|_| length >= 40).unwrap_or_default() as usize;
        let colours = if used == 0 { 1 << bits.min(8) } else { used.min(256) };
        let palette = palette(bytes, FILE_HEADER + length, 4, colours);
        Ok(Self { size, is_from_above: height < 0, kind, palette, pixels_at })
    }

    /// The colour at a place of the palette; black beyond.
    fn colour(&self, place: u8) -> [u8; 3] {
        self.palette.get(usize::from(place)).copied().unwrap_or_default()
    }

    fn plain_rows(&self, data: &[u8]) -> Option<Vec<u8>> {
        let [width, height] = self.size;
        let bits = match self.kind {
            Kind::Palette(bits) | Kind::Runs(bits) => usize::from(bits),
            Kind::Bits555 | Kind::Bits565 => 16,
            Kind::Bytes(count) => count * 8,
        };
        // Rows are filled up to whole groups of four bytes; the last one may lack them.
        let (used, stride) = ((width * bits).div_ceil(8), (width * bits).div_ceil(32) * 4);
        let mut rows = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let row = data.get(y * stride..y * stride + used)?;
            match self.kind {
                Kind::Palette(bits) | Kind::Runs(bits) => {
                    rows.extend((0..width).flat_map(|x| self.colour(place(row, x, bits))));
                }
                Kind::Bits555 => rows.extend(
                    words(row)
                        .flat_map(|w| [w << 3, w >> 2 & 0xF8, w >> 7 & 0xF8])
                        .map(|v| v as u8),
                ),
                Kind::Bits565 => rows.extend(
                    words(row)
                        .flat_map(|w| [w << 3, w >> 3 & 0xFC, w >> 8 & 0xF8])
                        .map(|v| v as u8),
                ),
                Kind::Bytes(count) => {
                    rows.extend(row.chunks_exact(count).flat_map(|p| [p[0], p[1], p[2]]))
                }
            }
        }
        Some(rows)
    }
}

fn words(row: &[u8]) -> impl Iterator<Item = u16> {
    row.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// The place in the palette of pixel `x` of a row.
fn place(row: &[u8], x: usize, bits: u16) -> u8 {
    match bits {
        1 => row[x / 8] >> (7 - x % 8) & 1,
        4 => row[x / 2] >> (4 - x % 2 * 4) & 15,
        _ => row[x],
    }
}

fn kind(bits: u16, compression: u32, masks: Option<[u32; 3]>) -> Result<Kind, String> {
    const RED_FIRST: [u32; 3] = [0xFF_0000, 0xFF00, 0xFF];
    Ok(match (bits, compression, masks) {
        (1 | 4 | 8, 0, _) => Kind::Palette(bits),
        (4, 2, _) | (8, 1, _) => Kind::Runs(bits),
        (16, 0, _) | (16, 3, Some([0x7C00, 0x3E0, 0x1F])) => Kind::Bits555,
        (16, 3, Some([0xF800, 0x7E0, 0x1F])) => Kind::Bits565,
        (24, 0, _) => Kind::Bytes(3),
        (32, 0, _) | (32, 3, Some(RED_FIRST)) => Kind::Bytes(4),
        _ => {
            return Err(format!(
                "expected a BMP of 1, 4, 8, 16, 24 or 32 bits, plain or with run lengths, found {bits} bits with \
                 compression {compression}"
            ));
        }
    })
}

fn palette(bytes: &[u8], at: usize, entry: usize, colours: usize) -> Vec<[u8; 3]> {
    let entries = bytes.get(at..).unwrap_or_default().chunks_exact(entry).take(colours);
    entries.map(|colour| [colour[0], colour[1], colour[2]]).collect()
}

/// Places in the palette, from below; what is left out is place 0. `None` if the file ends before its end mark.
fn run_lengths(data: &[u8], [width, height]: [usize; 2], bits: u16) -> Option<Vec<u8>> {
    let mut places = vec![0; width * height];
    let mut rest = data;
    let (mut x, mut y) = (0, 0);
    // A pixel beside the picture is left out.
    let mut put = |x: usize, y: usize, place: u8| {
        if x < width && y < height {
            places[y * width + x] = place;
        }
    };
    while y < height {
        let [count, what, tail @ ..] = rest else { return None };
        rest = tail;
        match (*count, *what) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                let [right, up, tail @ ..] = rest else { return None };
                (x, y, rest) = (x + usize::from(*right), y + usize::from(*up), tail);
            }
            (0, count) => {
                let count = usize::from(count);
                let length = (count * usize::from(bits)).div_ceil(16) * 2;
                let single = rest.get(..length)?;
                (0..count).for_each(|step| put(x + step, y, place(single, step, bits)));
                (x, rest) = (x + count, &rest[length..]);
            }
            (count, what) => {
                let pair = [what; 2];
                let nth =
                    |step: usize| if bits == 4 { place(&pair[..1], step % 2, 4) } else { what };
                (0..usize::from(count)).for_each(|step| put(x + step, y, nth(step)));
                x += usize::from(count);
            }
        }
    }
    Some(places)
}
