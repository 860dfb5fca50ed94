//! Resizing by other ways than bilinear: nearest, bicubic, area, Lanczos, with OpenCV's conventions.
//! Knows nothing of ratios and boxes; the caller gives whole sizes.
//!
//! Source: OpenCV 4.11 `resize.cpp` for 8 bits: weights of 11 bits (A = -0.75 for bicubic, eight neighbours for Lanczos),
//! pixels beyond the border are those at it, and `INTER_AREA` is a sort of bilinear where a side grows.

use super::{Image, resize};

/// How the pixels of a resized picture are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// The pixel whose place is the nearest to the left and above.
    Nearest,
    /// Between two pixels each way.
    #[default]
    Bilinear,
    /// Between four pixels each way.
    Bicubic,
    /// The mean of what a pixel covers.
    Area,
    /// Between eight pixels each way.
    Lanczos,
}

impl Interpolation {
    /// Its names in a config, in MMCV's order.
    pub const NAMES: [&'static str; 5] = ["nearest", "bilinear", "bicubic", "area", "lanczos"];

    /// The one of a name; bilinear for any other.
    pub fn named(name: &str) -> Self {
        match name {
            "nearest" => Self::Nearest,
            "bicubic" => Self::Bicubic,
            "area" => Self::Area,
            "lanczos" => Self::Lanczos,
            _ => Self::Bilinear,
        }
    }
}

/// A resized copy; a picture that already has the size is given back as it is.
pub fn resize_by(
    source: &Image,
    width: usize,
    height: usize,
    interpolation: Interpolation,
) -> Image {
    let is_same = (source.width(), source.height()) == (width, height);
    if is_same || source.is_empty() || width == 0 || height == 0 {
        return resize(source, width, height);
    }
    let sides = [(source.width(), width), (source.height(), height)];
    let data = match interpolation {
        Interpolation::Bilinear => return resize(source, width, height),
        Interpolation::Nearest => nearest(source, sides),
        Interpolation::Area if sides.iter().all(|(from, to)| from >= to) => area(source, sides),
        Interpolation::Area => weighted(source, sides.map(growing_area), blended_twice),
        Interpolation::Bicubic => {
            weighted(source, sides.map(|side| taps(side, 4, cubic)), rounded_once)
        }
        Interpolation::Lanczos => {
            weighted(source, sides.map(|side| taps(side, 8, lanczos)), rounded_once)
        }
    };
    Image::new(width, height, data).unwrap_or_default()
}

/// A side before and after.
type Side = (usize, usize);

fn nearest(source: &Image, [across, down]: [Side; 2]) -> Vec<u8> {
    let places = |(from, to): Side| -> Vec<usize> {
        let scale = 1.0 / (to as f64 / from as f64);
        (0..to).map(|i| ((i as f64 * scale).floor() as usize).min(from - 1)).collect()
    };
    let columns = places(across);
    let row = |y: usize| columns.iter().flat_map(move |x| source.pixel(*x, y));
    places(down).into_iter().flat_map(row).collect()
}

/// The source pixels of a target pixel, with weights that add up to about 2048.
struct Taps {
    /// As many of each as the way has neighbours, one target pixel after another.
    places: Vec<usize>,
    weights: Vec<i32>,
    count: usize,
}

impl Taps {
    fn of(&self, target: usize) -> impl Iterator<Item = (usize, i32)> {
        let range = target * self.count..(target + 1) * self.count;
        self.places[range.clone()].iter().copied().zip(self.weights[range].iter().copied())
    }

    fn len(&self) -> usize {
        self.places.len() / self.count
    }
}

/// A weight of 11 bits.
fn fixed(weight: f32) -> i32 {
    (weight * 2048.0).round_ties_even().clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

/// Neighbours around the place of each target pixel; those beyond the border are the one at it.
fn taps((from, to): Side, count: usize, weights_at: fn(f32) -> [f32; 8]) -> Taps {
    let scale = 1.0 / (to as f64 / from as f64);
    let mut taps = Taps { places: Vec::new(), weights: Vec::new(), count };
    for target in 0..to {
        let position = ((target as f64 + 0.5) * scale - 0.5) as f32;
        let floor = position.floor();
        let first = floor as i64 - count as i64 / 2 + 1;
        let weights = weights_at(position - floor);
        taps.places.extend((first..).take(count).map(|at| at.clamp(0, from as i64 - 1) as usize));
        taps.weights.extend(weights[..count].iter().map(|weight| fixed(*weight)));
    }
    taps
}

/// Two neighbours for each target pixel, such that a target pixel within a source pixel is that pixel.
fn growing_area((from, to): Side) -> Taps {
    let inverse = to as f64 / from as f64;
    let scale = 1.0 / inverse;
    let mut taps = Taps { places: Vec::new(), weights: Vec::new(), count: 2 };
    for target in 0..to {
        let near = (target as f64 * scale).floor() as usize;
        let share = ((target + 1) as f64 - (near + 1) as f64 * inverse) as f32;
        let share = if share <= 0.0 { 0.0 } else { share - share.floor() };
        let (near, share) = if near >= from - 1 { (from - 1, 0.0) } else { (near, share) };
        taps.places.extend([near, (near + 1).min(from - 1)]);
        taps.weights.extend([fixed(1.0 - share), fixed(share)]);
    }
    taps
}

fn cubic(x: f32) -> [f32; 8] {
    const A: f32 = -0.75;
    let far = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let near = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let other = ((A + 2.0) * (1.0 - x) - (A + 3.0)) * (1.0 - x) * (1.0 - x) + 1.0;
    [far, near, other, 1.0 - far - near - other, 0.0, 0.0, 0.0, 0.0]
}

fn lanczos(x: f32) -> [f32; 8] {
    use std::f64::consts::{FRAC_1_SQRT_2 as S, FRAC_PI_4};
    const TURNS: [[f64; 2]; 8] =
        [[1.0, 0.0], [-S, -S], [0.0, 1.0], [S, -S], [-1.0, 0.0], [S, S], [0.0, -1.0], [-S, S]];
    let (sin, cos) = (-f64::from(x + 3.0) * FRAC_PI_4).sin_cos();
    let mut weights = [0.0; 8];
    for (place, [by_sin, by_cos]) in TURNS.into_iter().enumerate() {
        let distance = x + 3.0 - place as f32;
        // At the pixel itself the quotient has no value; so large a number leaves nothing of the others.
        weights[place] = if distance.abs() < 1e-6 {
            1e30
        } else {
            let y = -f64::from(distance) * FRAC_PI_4;
            ((by_sin * sin + by_cos * cos) / (y * y)) as f32
        };
    }
    let total: f32 = weights.iter().sum();
    weights.map(|weight| weight * (1.0 / total))
}

/// Across first, then down; `blend` makes a level of pairs of sum and weight.
fn weighted(
    source: &Image,
    [across, down]: [Taps; 2],
    blend: fn(&mut dyn Iterator<Item = (i32, i32)>) -> u8,
) -> Vec<u8> {
    let width = across.len() * 3;
    let mut rows: Vec<Option<Vec<i32>>> = vec![None; source.height()];
    let mut data = Vec::with_capacity(width * down.len());
    for target in 0..down.len() {
        let first = down.of(target).map(|(row, _)| row).min().unwrap_or(0);
        // Rows above are not looked at again.
        rows[..first].iter_mut().for_each(|row| *row = None);
        for (row, _) in down.of(target) {
            rows[row].get_or_insert_with(|| sums_of_row(source.row(row), &across));
        }
        let used: Vec<(&[i32], i32)> = down
            .of(target)
            .filter_map(|(row, weight)| Some((rows[row].as_deref()?, weight)))
            .collect();
        data.extend(
            (0..width).map(|at| blend(&mut used.iter().map(|(row, weight)| (row[at], *weight)))),
        );
    }
    data
}

fn sums_of_row(row: &[u8], across: &Taps) -> Vec<i32> {
    let pixels = row.as_chunks::<3>().0;
    let mut sums = Vec::with_capacity(across.len() * 3);
    for target in 0..across.len() {
        let mut sum = [0; 3];
        for (place, weight) in across.of(target) {
            sum.iter_mut()
                .zip(pixels[place])
                .for_each(|(sum, level)| *sum += i32::from(level) * weight);
        }
        sums.extend(sum);
    }
    sums
}

/// All 22 bits of both weights are kept until the end.
fn rounded_once(pairs: &mut dyn Iterator<Item = (i32, i32)>) -> u8 {
    let sum: i64 = pairs.map(|(sum, weight)| i64::from(sum) * i64::from(weight)).sum();
    ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8
}

/// Sums lose four bits before, and each product sixteen after, as OpenCV's bilinear does.
fn blended_twice(pairs: &mut dyn Iterator<Item = (i32, i32)>) -> u8 {
    let sum: i32 = pairs.map(|(sum, weight)| (weight * (sum >> 4)) >> 16).sum();
    ((sum + 2) >> 2).clamp(0, 255) as u8
}

/// What of a side a target pixel covers: places with their shares of it.
type Cover = Vec<(usize, f32)>;

fn covers((from, to): Side) -> Vec<Cover> {
    let scale = 1.0 / (to as f64 / from as f64);
    let cover = |target: usize| {
        let start = target as f64 * scale;
        let end = start + scale;
        let whole = scale.min(from as f64 - start);
        let last = (end.floor() as usize).min(from - 1);
        let first = (start.ceil() as usize).min(last);
        let mut cover = Cover::new();
        if first as f64 - start > 1e-3 {
            cover.push((first - 1, ((first as f64 - start) / whole) as f32));
        }
        cover.extend((first..last).map(|place| (place, (1.0 / whole) as f32)));
        if end - last as f64 > 1e-3 {
            cover.push((last, ((end - last as f64).min(1.0).min(whole) / whole) as f32));
        }
        cover
    };
    (0..to).map(cover).collect()
}

fn area(source: &Image, [across, down]: [Side; 2]) -> Vec<u8> {
    if across.0 % across.1 == 0 && down.0 % down.1 == 0 {
        return whole_area(source, across, down);
    }
    let (columns, rows) = (covers(across), covers(down));
    let mut data = Vec::with_capacity(columns.len() * rows.len() * 3);
    let mut sums = vec![[0.0_f32; 3]; columns.len()];
    for row in &rows {
        sums.fill([0.0; 3]);
        for (y, share) in row {
            let pixels = source.row(*y).as_chunks::<3>().0;
            for (sum, column) in sums.iter_mut().zip(&columns) {
                let mut own = [0.0_f32; 3];
                for (x, share) in column {
                    own.iter_mut()
                        .zip(pixels[*x])
                        .for_each(|(own, level)| *own += f32::from(level) * share);
                }
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own * share);
            }
        }
        data.extend(sums.as_flattened().iter().map(|sum| sum.round_ties_even() as u8));
    }
    data
}

/// Sides that are shrunk by whole numbers.
fn whole_area(source: &Image, across: Side, down: Side) -> Vec<u8> {
    let (wide, high) = (across.0 / across.1, down.0 / down.1);
    let share = 1.0 / (wide * high) as f32;
    let mean = |sum: u32| match (wide, high) {
        (2, 2) => ((sum + 2) >> 2) as u8,
        _ => (sum as f32 * share).round_ties_even() as u8,
    };
    let mut data = Vec::with_capacity(across.1 * down.1 * 3);
    for y in 0..down.1 {
        for x in 0..across.1 {
            let mut sum = [0_u32; 3];
            for row in y * high..(y + 1) * high {
                let pixels = &source.row(row).as_chunks::<3>().0[x * wide..(x + 1) * wide];
                pixels.iter().for_each(|p| {
                    sum.iter_mut().zip(p).for_each(|(sum, level)| *sum += u32::from(*level))
                });
            }
            data.extend(sum.map(mean));
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, values: &[u8]) -> Image {
        Image::new(width, height, values.iter().flat_map(|&v| [v; 3]).collect()).unwrap()
    }

    fn row(values: &[u8], width: usize, interpolation: Interpolation) -> Vec<u8> {
        let resized = resize_by(&grey(values.len(), 1, values), width, 1, interpolation);
        resized.data().iter().step_by(3).copied().collect()
    }

    #[test]
    fn each_way_has_its_own_idea_of_between() {
        assert_eq!(row(&[0, 100], 4, Interpolation::Nearest), [0, 0, 100, 100]);
        assert_eq!(row(&[0, 100], 4, Interpolation::Bilinear), [0, 25, 75, 100]);
        assert_eq!(row(&[0, 100], 4, Interpolation::Area), [0, 0, 100, 100]);
        assert_eq!(row(&[0, 100, 200, 50], 2, Interpolation::Area), [50, 125]);
        // One neighbour beyond the border overshoots.
        assert_eq!(
            row(&[100, 100, 200, 200], 8, Interpolation::Bicubic),
            [100, 96, 89, 123, 177, 211, 204, 200]
        );
    }

    #[test]
    fn a_plain_picture_stays_plain() {
        for interpolation in Interpolation::NAMES.map(Interpolation::named) {
            for (width, height) in [(7, 3), (31, 17), (5, 40), (20, 10), (1, 1)] {
                let resized =
                    resize_by(&Image::filled(10, 20, [7, 130, 255]), width, height, interpolation);
                assert_eq!(
                    resized,
                    Image::filled(width, height, [7, 130, 255]),
                    "{interpolation:?} {width}"
                );
            }
        }
    }
}
