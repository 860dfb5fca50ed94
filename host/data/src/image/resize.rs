//! Bilinear resizing with OpenCV's conventions: half-pixel centres, no smoothing when shrinking.
//! Knows nothing of ratios and boxes; the caller gives whole sizes.
//!
//! Source: OpenCV `resize` with INTER_LINEAR for 8 bits: weights of 11 bits, the same rounding.

use super::Image;

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

/// A resized copy; a picture that already has the size is given back as it is.
pub fn resize(source: &Image, width: usize, height: usize) -> Image {
    if (source.width(), source.height()) == (width, height) {
        return source.clone();
    }
    let mut target = Image::filled(width, height, [0; 3]);
    resize_window_into(
        source,
        (width, height),
        Window { x: 0, y: 0, width, height },
        &mut target,
        (0, 0),
    );
    target
}

/// Resizes to `size` (width, height), but computes only `window` of it, and writes that into `target`
/// with its corner at `at`. A window that sticks out of the resized picture or the target is cut.
pub fn resize_window_into(
    source: &Image,
    size: (usize, usize),
    window: Window,
    target: &mut Image,
    at: (usize, usize),
) {
    let width =
        window.width.min(size.0.saturating_sub(window.x)).min(target.width().saturating_sub(at.0));
    let height = window
        .height
        .min(size.1.saturating_sub(window.y))
        .min(target.height().saturating_sub(at.1));
    if width == 0 || height == 0 || source.is_empty() {
        return;
    }
    let bytes = at.0 * 3..(at.0 + width) * 3;
    if (source.width(), source.height()) == size {
        for row in 0..height {
            let from = &source.row(window.y + row)[window.x * 3..(window.x + width) * 3];
            target.row_mut(at.1 + row)[bytes.clone()].copy_from_slice(from);
        }
        return;
    }
    let columns = taps(source.width(), size.0, window.x, width);
    let rows = taps(source.height(), size.1, window.y, height);
    let mut cache = RowCache::new(width);
    for (row, tap) in rows.iter().enumerate() {
        cache.load(source, &columns, tap);
        let out = &mut target.row_mut(at.1 + row)[bytes.clone()];
        blend_rows(&cache, out);
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

/// The two source rows in use, already resized horizontally; neighbours in the target share them.
struct RowCache {
    first: Vec<i16>,
    second: Vec<i16>,
    first_row: usize,
    second_row: usize,
    first_weight: Vec<i16>,
    second_weight: Vec<i16>,
    /// A source row with its channels apart, while it is resized.
    spread: Vec<u64>,
}

impl RowCache {
    fn new(width: usize) -> Self {
        let row = || vec![0; width * 3];
        Self {
            first: row(),
            second: row(),
            first_row: usize::MAX,
            second_row: usize::MAX,
            first_weight: row(),
            second_weight: row(),
            spread: Vec::new(),
        }
    }

    fn load(&mut self, source: &Image, columns: &[Tap], tap: &Tap) {
        if self.first_row != tap.near && self.second_row == tap.near {
            std::mem::swap(&mut self.first, &mut self.second);
            std::mem::swap(&mut self.first_row, &mut self.second_row);
        }
        if self.first_row != tap.near {
            shrink_row(source.row(tap.near), columns, &mut self.spread, &mut self.first);
            self.first_row = tap.near;
        }
        if self.second_row != tap.far {
            shrink_row(source.row(tap.far), columns, &mut self.spread, &mut self.second);
            self.second_row = tap.far;
        }
        self.first_weight.fill(tap.near_weight);
        self.second_weight.fill(tap.far_weight);
    }
}

/// Horizontal pass; the result is scaled by 128 so that it fits 16 bits.
///
/// All three channels are in one number, each with 21 of its bits; no sum needs more than 19.
fn shrink_row(source: &[u8], columns: &[Tap], spread: &mut Vec<u64>, out: &mut [i16]) {
    let lanes = |p: &[u8; 3]| u64::from(p[0]) | u64::from(p[1]) << 21 | u64::from(p[2]) << 42;
    spread.clear();
    spread.extend(source.as_chunks::<3>().0.iter().map(lanes));
    for (out, tap) in out.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
        let (near, far) = (spread[tap.near], spread[tap.far]);
        let sum = near * tap.near_weight as u64 + far * tap.far_weight as u64;
        *out = [0, 21, 42].map(|shift| (sum >> (shift + 4)) as i16 & 0x7FFF);
    }
}

/// Vertical pass, in the form of OpenCV's: the upper half of a 16-bit product.
///
/// The weights come as whole rows: only with both factors loaded as 16 bits does the compiler use the
/// processor's instruction for that, which is three times as fast.
fn blend_rows(cache: &RowCache, out: &mut [u8]) {
    let high = |value: i16, weight: i16| ((i32::from(value) * i32::from(weight)) >> 16) as i16;
    let first = cache.first.iter().zip(&cache.first_weight);
    let second = cache.second.iter().zip(&cache.second_weight);
    for (out, ((&first, &a), (&second, &b))) in out.iter_mut().zip(first.zip(second)) {
        *out = ((high(first, a) + high(second, b) + 2) >> 2).clamp(0, 255) as u8;
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
    fn a_window_equals_the_part_of_the_whole() {
        let data: Vec<u8> = (0..35).map(|i| (i * 37 % 256) as u8).collect();
        let image = grey(7, 5, &data);
        let whole = resize(&image, 13, 11);
        let mut part = Image::filled(6, 5, [9; 3]);
        let window = Window { x: 4, y: 3, width: 5, height: 4 };
        resize_window_into(&image, (13, 11), window, &mut part, (1, 1));
        assert_eq!(part.cropped(1, 1, 5, 4), whole.cropped(4, 3, 5, 4));
        assert_eq!(part.pixel(0, 0), [9; 3]);
    }

    #[test]
    fn a_window_that_sticks_out_is_cut() {
        let image = grey(2, 2, &[10; 4]);
        let mut target = Image::filled(3, 3, [0; 3]);
        let window = Window { x: 2, y: 2, width: 100, height: 100 };
        resize_window_into(&image, (4, 4), window, &mut target, (2, 2));
        assert_eq!(values(&target), [0, 0, 0, 0, 0, 0, 0, 0, 10]);
    }
}
