//! Bilinear resizing with OpenCV's conventions: half-pixel centres, no smoothing when shrinking.
//! Knows nothing of ratios and boxes; the caller gives whole sizes.
//!
//! Source: OpenCV `resize` with INTER_LINEAR for 8 bits: weights of 11 bits, the same rounding.

use multiversion::multiversion;

use super::Image;
use super::plane::{BYTES, PIXELS, Plane, eight};

/// A part of a resized picture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Window {
    fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

/// A resized copy; a picture that already has the size is given back as it is.
pub fn resize(source: &Image, width: usize, height: usize) -> Image {
    if (source.width(), source.height()) == (width, height) {
        return source.clone();
    }
    let mut rows = ResizedRows::new(source, (width, height), Window { x: 0, y: 0, width, height });
    Image::by_rows(width, height, [0; 3], |y, row| rows.write(y, row))
}

/// The rows of a part of a resized picture; nothing else of it is computed.
pub struct ResizedRows<'a> {
    source: &'a Image,
    window: Window,
    /// `None` where the picture has the size already.
    resizing: Option<Resizing>,
}

struct Resizing {
    columns: Columns,
    rows: Vec<Tap>,
    cache: RowCache,
}

impl<'a> ResizedRows<'a> {
    /// The part `window` of `source` resized to `size` (width, height). A window that sticks out is cut.
    pub fn new(source: &'a Image, size: (usize, usize), window: Window) -> Self {
        let (width, height) = if source.is_empty() { (0, 0) } else { size };
        let window = Window {
            width: window.width.min(width.saturating_sub(window.x)),
            height: window.height.min(height.saturating_sub(window.y)),
            ..window
        };
        let is_resized = (source.width(), source.height()) != size && !window.is_empty();
        let resizing = is_resized.then(|| Resizing {
            columns: Columns::new(&taps(source.width(), size.0, window.x, window.width)),
            rows: taps(source.height(), size.1, window.y, window.height),
            cache: RowCache::new(window.width),
        });
        Self { source, window, resizing }
    }

    /// Writes row `y` of the part to the beginning of `out`; a part that is longer is cut, and behind its last row nothing
    /// is written.
    pub fn write(&mut self, y: usize, out: &mut [u8]) {
        let Window { x, y: top, width, height } = self.window;
        let length = (width * 3).min(out.len());
        let out = &mut out[..length];
        match &mut self.resizing {
            _ if y >= height || width == 0 => {}
            None => out.copy_from_slice(&self.source.row(top + y)[x * 3..][..length]),
            Some(resizing) => {
                resizing.cache.load(self.source, &resizing.columns, &resizing.rows[y]);
                blend_rows(&resizing.cache, out);
            }
        }
    }
}

/// The two source positions of one target position, with weights that add up to 2048.
struct Tap {
    near: usize,
    far: usize,
    near_weight: i16,
    far_weight: i16,
}

const WEIGHT_ONE: f32 = 2048.0;

fn taps(source: usize, target: usize, from: usize, count: usize) -> Vec<Tap> {
    let scale = source as f64 / target as f64;
    (from..from + count)
        .map(|i| {
            let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
            let floor = position.floor();
            let (near, fraction) = match floor {
                f if f < 0.0 => (0, 0.0),
                f if f as usize >= source - 1 => (source - 1, 0.0),
                f => (f as usize, position - f),
            };
            let far_weight = (fraction * WEIGHT_ONE).round_ties_even() as i16;
            Tap {
                near,
                far: (near + 1).min(source - 1),
                near_weight: WEIGHT_ONE as i16 - far_weight,
                far_weight,
            }
        })
        .collect()
}

/// Where the bytes of a row come from, and the weights of the farther neighbours.
struct Columns {
    /// The first byte of the nearer pixel, for each pixel.
    starts: Vec<u32>,
    /// The upper bits of the weight, for each byte.
    coarse: Vec<i16>,
    /// The lower bits.
    fine: Vec<i16>,
}

/// Lower bits of a weight of 11 bits: a difference of two levels times either half needs no more than 16 bits.
const FINE_BITS: u32 = 6;

impl Columns {
    fn new(taps: &[Tap]) -> Self {
        let for_bytes = |of: fn(i16) -> i16| {
            taps.iter().flat_map(|tap| [of(tap.far_weight); 3]).collect::<Vec<i16>>()
        };
        Self {
            starts: taps.iter().map(|tap| (tap.near * 3) as u32).collect(),
            coarse: for_bytes(|weight| weight >> FINE_BITS),
            fine: for_bytes(|weight| weight & ((1 << FINE_BITS) - 1)),
        }
    }
}

/// The two source rows in use, already resized horizontally; neighbours in the target share them.
struct RowCache {
    first: Vec<i16>,
    second: Vec<i16>,
    first_row: usize,
    second_row: usize,
    /// Of the rows, again and again for a run of bytes.
    first_weight: [i16; BYTES],
    second_weight: [i16; BYTES],
    /// A source row with room behind it.
    source: Vec<u8>,
}

impl RowCache {
    fn new(width: usize) -> Self {
        let row = || vec![0; width * 3];
        Self {
            first: row(),
            second: row(),
            first_row: usize::MAX,
            second_row: usize::MAX,
            first_weight: [0; BYTES],
            second_weight: [0; BYTES],
            source: Vec::new(),
        }
    }

    fn load(&mut self, source: &Image, columns: &Columns, tap: &Tap) {
        if self.first_row != tap.near && self.second_row == tap.near {
            std::mem::swap(&mut self.first, &mut self.second);
            std::mem::swap(&mut self.first_row, &mut self.second_row);
        }
        if self.first_row != tap.near {
            shrink_row(with_room(source.row(tap.near), &mut self.source), columns, &mut self.first);
            self.first_row = tap.near;
        }
        if self.second_row != tap.far {
            shrink_row(with_room(source.row(tap.far), &mut self.source), columns, &mut self.second);
            self.second_row = tap.far;
        }
        self.first_weight.fill(tap.near_weight);
        self.second_weight.fill(tap.far_weight);
    }
}

/// A copy of a row with eight bytes more: the last pixel has a neighbour then, of weight zero.
fn with_room<'a>(row: &[u8], copy: &'a mut Vec<u8>) -> &'a [u8] {
    copy.clear();
    copy.extend_from_slice(row);
    copy.extend_from_slice(&[0; 8]);
    copy
}

/// Horizontal pass; the result is scaled by 128 so that it fits 16 bits.
///
/// Both neighbours of a run of pixels are gathered, then blended as plain rows of 16-bit numbers.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+sse4.1"))]
fn shrink_row(source: &[u8], columns: &Columns, out: &mut [i16]) {
    let (mut near, mut far) = (Plane::EMPTY, Plane::EMPTY);
    let weights = columns.coarse.chunks(BYTES).zip(columns.fine.chunks(BYTES));
    let runs = columns.starts.chunks(PIXELS).zip(weights).zip(out.chunks_mut(BYTES));
    for ((starts, (coarse, fine)), out) in runs {
        for (i, start) in starts.iter().enumerate().take(PIXELS) {
            if let Some(pair) = eight(source, *start as usize) {
                near.put(i, pair as u32);
                far.put(i, (pair >> 24) as u32);
            }
        }
        let pairs = near.bytes().iter().zip(far.bytes());
        for ((out, (&near, &far)), (coarse, fine)) in
            out.iter_mut().zip(pairs).zip(coarse.iter().zip(fine))
        {
            let (near, difference) = (i16::from(near), i16::from(far) - i16::from(near));
            *out = (near << 7) + ((difference * coarse) << 2) + ((difference * fine) >> 4);
        }
    }
}

/// Vertical pass, in the form of OpenCV's: the upper half of a 16-bit product.
///
/// The weights come as rows too: only with both factors loaded as 16 bits does the compiler use the
/// processor's instruction for that, which is three times as fast.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn blend_rows(cache: &RowCache, out: &mut [u8]) {
    let high = |value: i16, weight: i16| ((i32::from(value) * i32::from(weight)) >> 16) as i16;
    let runs = cache.first.chunks(BYTES).zip(cache.second.chunks(BYTES));
    for (out, (first, second)) in out.chunks_mut(BYTES).zip(runs) {
        let first = first.iter().zip(&cache.first_weight);
        let second = second.iter().zip(&cache.second_weight);
        for (out, ((&first, &a), (&second, &b))) in out.iter_mut().zip(first.zip(second)) {
            *out = ((high(first, a) + high(second, b) + 2) >> 2).clamp(0, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, values: &[u8]) -> Image {
        Image::new(width, height, values.iter().flat_map(|&v| [v; 3]).collect()).unwrap()
    }

    fn values(image: &Image) -> Vec<u8> {
        image.data().iter().step_by(3).copied().collect()
    }

    #[test]
    fn centres_of_pixels_are_at_halves() {
        assert_eq!(values(&resize(&grey(2, 1, &[0, 100]), 4, 1)), [0, 25, 75, 100]);
        assert_eq!(values(&resize(&grey(2, 2, &[0, 100, 100, 200]), 1, 1)), [100]);
    }

    #[test]
    fn same_size_is_a_copy() {
        let image = grey(3, 1, &[1, 2, 3]);
        assert_eq!(resize(&image, 3, 1), image);
    }

    #[test]
    fn rows_longer_than_a_run_equal_the_formula() {
        let data: Vec<u8> = (0..200 * 3).map(|i| (i * 89 % 256) as u8).collect();
        let image = Image::new(200, 1, data).unwrap();
        for width in [1, 90, 128, 129, 431] {
            let resized = resize(&image, width, 1);
            for (x, tap) in taps(200, width, 0, width).iter().enumerate() {
                let expected: [u8; 3] = std::array::from_fn(|c| {
                    let level =
                        |x: usize, weight| i32::from(image.pixel(x, 0)[c]) * i32::from(weight);
                    let sum = level(tap.near, tap.near_weight) + level(tap.far, tap.far_weight);
                    // One row is both rows: 2048 / 65536 of the horizontal sum, in sixteenths, and rounded.
                    (((((sum >> 4) * 2048) >> 16) + 2) >> 2) as u8
                });
                assert_eq!(resized.pixel(x, 0), expected, "{x} of {width}");
            }
        }
    }

    #[test]
    fn a_window_equals_the_part_of_the_whole() {
        let data: Vec<u8> = (0..35).map(|i| (i * 37 % 256) as u8).collect();
        let image = grey(7, 5, &data);
        let whole = resize(&image, 13, 11);
        let window = Window { x: 4, y: 3, width: 5, height: 4 };
        let mut rows = ResizedRows::new(&image, (13, 11), window);
        let part = Image::by_rows(6, 5, [9; 3], |y, row| rows.write(y, row));
        assert_eq!(part.cropped(0, 0, 5, 4), whole.cropped(4, 3, 5, 4));
        assert_eq!([part.pixel(5, 0), part.pixel(0, 4)], [[9; 3]; 2]);
    }

    #[test]
    fn a_window_or_a_row_that_sticks_out_is_cut() {
        let image = grey(2, 2, &[10; 4]);
        let window = Window { x: 2, y: 2, width: 100, height: 100 };
        for size in [(4, 4), (2, 2)] {
            let mut rows = ResizedRows::new(&image, size, window);
            let part = Image::by_rows(3, 3, [0; 3], |y, row| rows.write(y, &mut row[3..]));
            let shown = if size == (4, 4) { [0, 10, 10, 0, 10, 10, 0, 0, 0] } else { [0; 9] };
            assert_eq!(values(&part), shown);
            let mut rows = ResizedRows::new(&image, size, Window { x: 0, y: 0, ..window });
            let part = Image::by_rows(1, 1, [0; 3], |y, row| rows.write(y, row));
            assert_eq!(values(&part), [10]);
        }
    }
}
