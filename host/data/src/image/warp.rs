//! Affine maps of the plane, and warping a picture by one.
//! Knows nothing of how the map was drawn.
//!
//! Source: OpenCV `warpAffine` with INTER_LINEAR and BORDER_CONSTANT: positions rounded to 1/32 pixel, the
//! border colour takes part in the interpolation at the rim.

use super::Image;

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
    let mut target = Image::filled(size.0, size.1, border);
    let Some(back) = map.inverse() else { return target };
    if source.is_empty() || size.0 == 0 {
        return target;
    }
    let fixed = |v: f64| (v * (1u64 << POINT) as f64).round() as i64;
    let [[a, b, c], [d, e, f]] = back.0;
    let step = (fixed(a), fixed(d));
    for (y, row) in target.data_mut().chunks_exact_mut(size.0 * 3).enumerate() {
        let start = (fixed(b * y as f64 + c), fixed(e * y as f64 + f));
        warp_row(source, start, step, border, row);
    }
    target
}

fn warp_row(source: &Image, start: (i64, i64), step: (i64, i64), border: [u8; 3], row: &mut [u8]) {
    let (width, height) = (source.width() as i64, source.height() as i64);
    let stride = source.width() * 3;
    let data = source.data();
    let half_step = 1i64 << (POINT - STEP_BITS - 1);
    let (mut x, mut y) = (start.0 + half_step, start.1 + half_step);
    for out in row.as_chunks_mut::<3>().0 {
        let (column, line) = (x >> POINT, y >> POINT);
        let fraction_x = (x >> (POINT - STEP_BITS)) as i32 & (STEPS - 1);
        let fraction_y = (y >> (POINT - STEP_BITS)) as i32 & (STEPS - 1);
        (x, y) = (x + step.0, y + step.1);
        if (0..width - 1).contains(&column) && (0..height - 1).contains(&line) {
            let at = line as usize * stride + column as usize * 3;
            let upper = data[at..].first_chunk::<6>();
            let lower = data[at + stride..].first_chunk::<6>();
            if let (Some(upper), Some(lower)) = (upper, lower) {
                *out = blend(upper, lower, fraction_x, fraction_y);
            }
        } else if (-1..width).contains(&column) && (-1..height).contains(&line) {
            let upper = pair_at_rim(source, column, line, border);
            let lower = pair_at_rim(source, column, line + 1, border);
            *out = blend(&upper, &lower, fraction_x, fraction_y);
        }
    }
}

fn blend(upper: &[u8; 6], lower: &[u8; 6], fraction_x: i32, fraction_y: i32) -> [u8; 3] {
    // One product for each of the three steps: `a + (b - a) f`, with the point moved.
    let between = |a: i32, b: i32, fraction: i32| (a << STEP_BITS) + (b - a) * fraction;
    let across = |p: &[u8; 6], c: usize| between(i32::from(p[c]), i32::from(p[c + 3]), fraction_x);
    std::array::from_fn(|c| {
        let sum = between(across(upper, c), across(lower, c), fraction_y);
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

    #[test]
    fn a_map_and_its_inverse_cancel() {
        let map = Affine([[1.2, 0.3, 5.0], [-0.2, 0.8, -7.0]]);
        let back = map.inverse().unwrap().after(&map).apply([3.0, 4.0]);
        assert!((back[0] - 3.0).abs() < 1e-9 && (back[1] - 4.0).abs() < 1e-9);
        assert!(Affine([[0.0; 3]; 2]).inverse().is_none());
    }
}
