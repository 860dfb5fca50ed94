//! Affine maps of the plane, and warping a picture by one.
//! Knows nothing of how the map was drawn.
//!
//! Source: OpenCV `warpAffine` with INTER_LINEAR and BORDER_CONSTANT: positions rounded to 1/32 pixel, the
//! border colour takes part in the interpolation at the rim.

use std::ops::Range;

use multiversion::multiversion;

use super::Image;
use super::plane::{BYTES, PIXELS, Plane, eight};

/// An affine map: `x' = a x + b y + c`, `y' = d x + e y + f`, as `[[a, b, c], [d, e, f]]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [[f64; 3]; 2]);

impl Affine {
    /// The map that does `first` and then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let (m, n) = (&self.0, &first.0);
        let row = |r: &[f64; 3]| {
            [
                r[0] * n[0][0] + r[1] * n[1][0],
                r[0] * n[0][1] + r[1] * n[1][1],
                r[0] * n[0][2] + r[1] * n[1][2] + r[2],
            ]
        };
        Self([row(&m[0]), row(&m[1])])
    }

    /// Where a point goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * x + b * y + c)
    }

    /// The map back; `None` when everything falls on a line.
    pub fn inverse(&self) -> Option<Self> {
        let [[a, b, c], [d, e, f]] = self.0;
        let determinant = a * e - b * d;
        if determinant.abs() < 1e-12 {
            return None;
        }
        let k = 1.0 / determinant;
        Some(Self([[e * k, -b * k, (b * f - c * e) * k], [-d * k, a * k, (c * d - a * f) * k]]))
    }
}

/// Bits behind the point of a source position.
const POINT: u32 = 32;
/// Steps of a source position within a pixel, in bits.
const STEP_BITS: u32 = 5;
const STEPS: i32 = 1 << STEP_BITS;

/// The picture of `width` x `height` in which the source's point p is at `map(p)`.
pub fn warp_affine(source: &Image, map: &Affine, size: (usize, usize), border: [u8; 3]) -> Image {
    let Some(back) = map.inverse().filter(|_| !source.is_empty()) else {
        return Image::filled(size.0, size.1, border);
    };
    let [[a, b, c], [d, e, f]] = back.0;
    let mut blocks = Blocks::new();
    Image::by_rows(size.0, size.1, border, |y, row| {
        let start = [b * y as f64 + c, e * y as f64 + f];
        let line = Line { start: start.map(fixed), step: [a, d].map(fixed) };
        warp_row(source, line.rounding(), border, &mut blocks, row.as_chunks_mut().0);
    })
}

/// With [`POINT`] bits behind the point; what is far outside of any picture stays so.
fn fixed(value: f64) -> i64 {
    const LIMIT: i64 = 1 << 61;
    ((value * (1u64 << POINT) as f64).round() as i64).clamp(-LIMIT, LIMIT)
}

/// Where the pixels of a row come from: (x, y) of the first one in the source, and from each to the next.
#[derive(Clone, Copy)]
struct Line {
    start: [i64; 2],
    step: [i64; 2],
}

impl Line {
    /// Moved by half of the steps within a pixel, so that these are rounded and not cut.
    fn rounding(self) -> Self {
        Self { start: self.start.map(|v| v + (1i64 << (POINT - STEP_BITS - 1))), ..self }
    }

    /// The position of pixel `place`; only of one that lies near the source is it right.
    #[inline(always)]
    fn at(&self, place: usize) -> [i64; 2] {
        let along =
            |axis: usize| self.start[axis].wrapping_add(self.step[axis].wrapping_mul(place as i64));
        [along(0), along(1)]
    }

    /// The pixels, of `count`, that come from columns `columns` and rows `rows`.
    fn within(&self, columns: Range<i64>, rows: Range<i64>, count: usize) -> Range<usize> {
        let across = self.within_axis(0, columns, count);
        let down = self.within_axis(1, rows, count);
        let start = across.start.max(down.start);
        start..across.end.min(down.end).max(start)
    }

    fn within_axis(&self, axis: usize, range: Range<i64>, count: usize) -> Range<usize> {
        let (start, step) = (self.start[axis], self.step[axis]);
        let (low, high) = (range.start << POINT, (range.end << POINT) - 1);
        let all = if (low..=high).contains(&start) { count } else { 0 };
        let (first, last) = match step {
            0 => return 0..all,
            // Rounded up, and down.
            1.. => (-(start - low).div_euclid(step), (high - start).div_euclid(step)),
            _ => (-(high - start).div_euclid(-step), (start - low).div_euclid(-step)),
        };
        let place = |v: i64| v.clamp(0, count as i64) as usize;
        place(first)..place(last + 1)
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+sse4.1"))]
fn warp_row(source: &Image, line: Line, border: [u8; 3], blocks: &mut Blocks, row: &mut [[u8; 3]]) {
    let (width, height) = (source.width() as i64, source.height() as i64);
    let touched = line.within(-1..width, -1..height, row.len());
    // Eight bytes are loaded for six; in blocks places are 32 bits wide.
    let is_small = u32::try_from(source.data().len()).is_ok();
    let inner = line.within(0..if is_small { width - 2 } else { 0 }, 0..height - 1, row.len());
    let inner = if inner.is_empty() { touched.start..touched.start } else { inner };
    for place in (touched.start..inner.start).chain(inner.end..touched.end) {
        row[place] = pixel_at_rim(source, line.at(place), border);
    }
    for (number, block) in row[inner.clone()].chunks_mut(PIXELS).enumerate() {
        let start = line.at(inner.start + number * PIXELS);
        blocks.gather(source, Line { start, ..line }, block.len());
        blocks.blend(block.as_flattened_mut());
    }
}

/// The four neighbours of each position of a run of pixels, and where in between it lies. Gathered pixel by pixel, then
/// blended as plain rows of 16-bit numbers, which the compiler vectorises.
struct Blocks {
    upper: [Plane; 2],
    lower: [Plane; 2],
    fractions: [[[u8; 3]; PIXELS]; 2],
}

impl Blocks {
    fn new() -> Box<Self> {
        let planes = || [Plane::EMPTY, Plane::EMPTY];
        Box::new(Self { upper: planes(), lower: planes(), fractions: [[[0; 3]; PIXELS]; 2] })
    }

    /// All positions lie in the source, and right and below of each is another pixel, and one more.
    #[inline(always)]
    fn gather(&mut self, source: &Image, line: Line, count: usize) {
        let stride = source.width() * 3;
        let (above, below) = (source.data(), &source.data()[stride..]);
        let mut places = [0u32; PIXELS];
        let mut fractions = [[0u8; PIXELS]; 2];
        for i in 0..PIXELS {
            let [x, y] = line.at(i);
            let row = ((y >> POINT) as u32).wrapping_mul(stride as u32);
            places[i] = row.wrapping_add(((x >> POINT) as u32).wrapping_mul(3));
            let fraction = |v: i64| (v >> (POINT - STEP_BITS)) as u8 & (STEPS - 1) as u8;
            (fractions[0][i], fractions[1][i]) = (fraction(x), fraction(y));
        }
        for (spread, fractions) in self.fractions.iter_mut().zip(&fractions) {
            for i in 0..PIXELS {
                spread[i] = [fractions[i], fractions[i], fractions[i]];
            }
        }
        for (i, &place) in places.iter().enumerate().take(count) {
            let pair = (eight(above, place as usize), eight(below, place as usize));
            if let (Some(upper), Some(lower)) = pair {
                self.upper[0].put(i, upper as u32);
                self.upper[1].put(i, (upper >> 24) as u32);
                self.lower[0].put(i, lower as u32);
                self.lower[1].put(i, (lower >> 24) as u32);
            }
        }
    }

    /// `a + (b - a) f` three times, with the point moved. The last needs 18 bits, so it is done for the upper and the
    /// lower bits of both numbers apart.
    #[inline(always)]
    fn blend(&self, out: &mut [u8]) {
        const LOWER_BITS: u32 = 6;
        const HALF: i16 = 1 << (2 * STEP_BITS - 1);
        let between = |a: i16, b: i16, fraction: i16| (a << STEP_BITS) + (b - a) * fraction;
        let wide = |plane: &[u8], i: usize| i16::from(plane[i]);
        let [left, right] = self.upper.each_ref().map(Plane::bytes);
        let [lower_left, lower_right] = self.lower.each_ref().map(Plane::bytes);
        let [across, down] = self.fractions.each_ref().map(|f| f.as_flattened());
        for (i, out) in out.iter_mut().enumerate().take(BYTES) {
            let (fraction_x, fraction_y) = (wide(across, i), wide(down, i));
            let upper = between(wide(left, i), wide(right, i), fraction_x);
            let lower = between(wide(lower_left, i), wide(lower_right, i), fraction_x);
            let high = between(upper >> LOWER_BITS, lower >> LOWER_BITS, fraction_y);
            let rest = |v: i16| v & ((1 << LOWER_BITS) - 1);
            let low = between(rest(upper), rest(lower), fraction_y);
            let sum = high + ((low + HALF) >> LOWER_BITS);
            *out = (sum >> (2 * STEP_BITS - LOWER_BITS)) as u8;
        }
    }
}

/// The pixel at a position that has neighbours outside of the picture.
fn pixel_at_rim(source: &Image, [x, y]: [i64; 2], border: [u8; 3]) -> [u8; 3] {
    let fraction = |v: i64| (v >> (POINT - STEP_BITS)) as i32 & (STEPS - 1);
    let (column, line) = (x >> POINT, y >> POINT);
    let upper = pair_at_rim(source, column, line, border);
    let lower = pair_at_rim(source, column, line + 1, border);
    let between = |a: i32, b: i32, fraction: i32| (a << STEP_BITS) + (b - a) * fraction;
    let across = |p: &[u8; 6], c: usize| between(i32::from(p[c]), i32::from(p[c + 3]), fraction(x));
    std::array::from_fn(|c| {
        let sum = between(across(&upper, c), across(&lower, c), fraction(y));
        ((sum + STEPS * STEPS / 2) >> (2 * STEP_BITS)) as u8
    })
}

/// Two neighbours in a row, each replaced by the border colour where it lies outside.
fn pair_at_rim(source: &Image, column: i64, line: i64, border: [u8; 3]) -> [u8; 6] {
    let inside = |x: i64| {
        (0..source.width() as i64).contains(&x) && (0..source.height() as i64).contains(&line)
    };
    let at = |x: i64| if inside(x) { source.pixel(x as usize, line as usize) } else { border };
    let (left, right) = (at(column), at(column + 1));
    [left[0], left[1], left[2], right[0], right[1], right[2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Affine = Affine([[0.0, -1.0, 2.0], [1.0, 0.0, 0.0]]);

    fn grey(width: usize, height: usize, values: &[u8]) -> Image {
        Image::new(width, height, values.iter().flat_map(|&v| [v; 3]).collect()).unwrap()
    }

    fn values(image: &Image) -> Vec<u8> {
        image.data().iter().step_by(3).copied().collect()
    }

    #[test]
    fn moving_by_whole_pixels_is_exact_and_uncovers_the_border() {
        let right = Affine([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]);
        let moved = warp_affine(&grey(3, 1, &[10, 20, 30]), &right, (3, 1), [7; 3]);
        assert_eq!(values(&moved), [7, 10, 20]);
    }

    #[test]
    fn moving_by_half_a_pixel_blends_neighbours_and_border() {
        let right = Affine([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]);
        let moved = warp_affine(&grey(3, 2, &[10, 20, 30, 10, 20, 30]), &right, (4, 1), [0; 3]);
        assert_eq!(values(&moved), [5, 15, 25, 15]);
    }

    #[test]
    fn a_quarter_turn_moves_each_pixel_to_its_place() {
        let turned = warp_affine(&grey(2, 3, &[1, 2, 3, 4, 5, 6]), &TURN, (3, 2), [0; 3]);
        assert_eq!(values(&turned), [5, 3, 1, 6, 4, 2]);
    }

    /// Each pixel by itself, as at the rim.
    fn warped_slowly(source: &Image, map: &Affine, size: (usize, usize), border: [u8; 3]) -> Image {
        let mut target = Image::filled(size.0, size.1, border);
        let [[a, b, c], [d, e, f]] = map.inverse().unwrap().0;
        for y in 0..size.1 {
            let start = [b * y as f64 + c, e * y as f64 + f].map(fixed);
            let line = Line { start, step: [a, d].map(fixed) }.rounding();
            for x in 0..size.0 {
                let at = line.at(x);
                let [column, row] = at.map(|v| v >> POINT);
                let is_near = (-1..source.width() as i64).contains(&column)
                    && (-1..source.height() as i64).contains(&row);
                if is_near {
                    target.set_pixel(x as i64, y as i64, pixel_at_rim(source, at, border));
                }
            }
        }
        target
    }

    #[test]
    fn blocks_of_pixels_equal_pixels_one_by_one() {
        let mut state = 1u32;
        let mut noise = |count: usize| -> Vec<u8> {
            let next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            std::iter::repeat_with(next).take(count).collect()
        };
        for (width, height) in [(150, 90), (40, 200), (3, 3), (2, 5), (1, 1)] {
            let source = Image::new(width, height, noise(width * height * 3)).unwrap();
            for [a, b, c, d] in [
                [1.0, 0.0, 0.0, 0.0],
                [0.3, 0.1, 3.7, -2.2],
                [1.9, -0.2, -40.4, 9.0],
                [-1.0, 0.5, 120.0, 60.0],
                [0.0, 1.0, 0.5, 100.0],
                [0.004, 0.001, 30.0, 30.0],
                [300.0, 20.0, -500.0, 0.0],
            ] {
                let map = Affine([[a, b, c], [-b, a, d]]);
                let warped = warp_affine(&source, &map, (260, 70), [9, 8, 7]);
                let expected = warped_slowly(&source, &map, (260, 70), [9, 8, 7]);
                assert!(warped == expected, "{source:?} {map:?}");
            }
        }
    }

    #[test]
    fn maps_that_move_a_picture_far_away_show_the_border() {
        let source = grey(4, 4, &[50; 16]);
        for far in [1e9, -1e13, 1e300] {
            let moved =
                warp_affine(&source, &Affine([[1.0, 0.0, far], [0.0, 1.0, 0.0]]), (9, 9), [7; 3]);
            assert!(values(&moved).iter().all(|v| *v == 7), "{far}");
        }
    }

    #[test]
    fn a_map_and_its_inverse_cancel() {
        let map = Affine([[1.2, 0.3, 5.0], [-0.2, 0.8, -7.0]]);
        let back = map.inverse().unwrap().after(&map).apply([3.0, 4.0]);
        assert!((back[0] - 3.0).abs() < 1e-9 && (back[1] - 4.0).abs() < 1e-9);
        assert!(Affine([[0.0; 3]; 2]).inverse().is_none());
    }
}
