//! Blows up the rows of planes that are stored at a part of the size.
//! Knows nothing of colours.
//!
//! Source: libjpeg's `jdsample` with fancy upsampling: a halved side is blown up with weights 3 and 1 of the nearer and
//! the farther sample, any other part by repetition. Rounds up and down by turns, as there.

use multiversion::multiversion;

use super::JpegError;
use super::frame::{Component, Frame, SIDE};

/// The samples of one component: whole blocks.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) samples: Vec<u8>,
    pub(super) stride: usize,
    /// Samples that count.
    width: usize,
    height: usize,
    way: Way,
}

/// How a plane gets the picture's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Same,
    /// Halved across: blended.
    Across,
    /// Halved down: blended.
    Down,
    /// Halved in both directions: blended.
    Both,
    /// Each sample so many times across and down.
    Repeated(usize, usize),
}

/// Samples for one row of a picture, and what is needed on the way there.
#[derive(Debug, Default)]
pub(super) struct Row {
    samples: Vec<u8>,
    sums: Vec<i16>,
}

impl Plane {
    /// A black plane for a component.
    pub(super) fn new(component: &Component, frame: &Frame) -> Result<Self, JpegError> {
        let divides = |part: usize, whole: usize| whole.is_multiple_of(part);
        if !divides(component.across, frame.across) || !divides(component.down, frame.down) {
            return Err(JpegError::Unsupported("sampling factors that do not divide one another"));
        }
        let way = match (frame.across / component.across, frame.down / component.down) {
            (1, 1) => Way::Same,
            // Too narrow for a neighbour on each side.
            (2, 1) if component.width > 2 => Way::Across,
            (1, 2) => Way::Down,
            (2, 2) if component.width > 2 => Way::Both,
            (across, down) => Way::Repeated(across, down),
        };
        let stride = component.stored_across * SIDE;
        let samples = vec![0; stride * component.stored_down * SIDE];
        Ok(Self { samples, stride, width: component.width, height: component.height, way })
    }

    /// The samples for the picture's row `y`, at least as many as the picture is wide.
    pub(super) fn row<'a>(&'a self, y: usize, row: &'a mut Row) -> &'a [u8] {
        match self.way {
            Way::Same => return self.line(y),
            Way::Across => {
                row.sums.clear();
                row.sums.extend(self.line(y)[..self.width].iter().map(|&s| i16::from(s)));
                row.samples.resize(self.width * 2, 0);
                blend_across::<1, 2, 2>(&row.sums, &mut row.samples);
            }
            Way::Down => {
                let (near, far) = self.near_and_far(y);
                row.samples.resize(self.width, 0);
                blend_down(near, far, if y.is_multiple_of(2) { 1 } else { 2 }, &mut row.samples);
            }
            Way::Both => {
                let (near, far) = self.near_and_far(y);
                row.sums.resize(self.width, 0);
                row.samples.resize(self.width * 2, 0);
                blend_both(near, far, &mut row.sums, &mut row.samples);
            }
            Way::Repeated(across, down) => {
                let line = &self.line(y / down)[..self.width];
                row.samples.clear();
                row.samples.extend(line.iter().flat_map(|&s| std::iter::repeat_n(s, across)));
            }
        }
        &row.samples
    }

    fn line(&self, y: usize) -> &[u8] {
        &self.samples[y * self.stride..(y + 1) * self.stride]
    }

    /// The stored rows next to the picture's row `y` of a plane that is halved down. Beyond the first and last row
    /// these go on.
    fn near_and_far(&self, y: usize) -> (&[u8], &[u8]) {
        let near = y / 2;
        let far = if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(self.height - 1)
        };
        (&self.line(near)[..self.width], &self.line(far)[..self.width])
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn blend_down(near: &[u8], far: &[u8], rounding: i16, samples: &mut [u8]) {
    for ((out, &near), &far) in samples.iter_mut().zip(near).zip(far) {
        *out = ((i16::from(near) * 3 + i16::from(far) + rounding) >> 2) as u8;
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn blend_both(near: &[u8], far: &[u8], sums: &mut [i16], samples: &mut [u8]) {
    for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
        *sum = i16::from(near) * 3 + i16::from(far);
    }
    blend_across::<8, 7, 4>(sums, samples);
}

/// Two samples of each: one nearer to the left neighbour, one nearer to the right one, divided by 2 to the `BITS`.
#[inline(always)]
fn blend_across<const LEFT: i16, const RIGHT: i16, const BITS: u32>(
    sums: &[i16],
    samples: &mut [u8],
) {
    let (pairs, _) = samples.as_chunks_mut::<2>();
    let inner = pairs.get_mut(1..).unwrap_or_default();
    let threes = sums.iter().zip(&sums[1..]).zip(&sums[2..]);
    for (pair, ((&left, &this), &right)) in inner.iter_mut().zip(threes) {
        *pair =
            [((this * 3 + left + LEFT) >> BITS) as u8, ((this * 3 + right + RIGHT) >> BITS) as u8];
    }
    // The ends have but one neighbour, and are their own other one.
    if let ([first, second, ..], [.., before, last]) = (sums, sums)
        && let [left, .., right] = pairs
    {
        *left = [((first * 4 + LEFT) >> BITS) as u8, ((first * 3 + second + RIGHT) >> BITS) as u8];
        *right = [((last * 3 + before + LEFT) >> BITS) as u8, ((last * 4 + RIGHT) >> BITS) as u8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(way: Way, samples: &[u8], width: usize) -> Plane {
        let height = samples.len() / width;
        Plane { samples: samples.to_vec(), stride: width, width, height, way }
    }

    fn rows(plane: &Plane, rows: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        let mut row = Row::default();
        rows.map(|y| plane.row(y, &mut row).to_vec()).collect()
    }

    #[test]
    fn halved_rows_are_blended_with_their_neighbours() {
        let plane = plane(Way::Across, &[0, 100, 50], 3);
        assert_eq!(rows(&plane, 0..1), [[0, 25, 75, 88, 62, 50]]);
    }

    #[test]
    fn halved_columns_are_blended_with_their_neighbours() {
        let plane = plane(Way::Down, &[0, 8, 100, 8], 2);
        assert_eq!(rows(&plane, 0..4), [[0, 8], [25, 8], [75, 8], [100, 8]]);
    }

    #[test]
    fn halves_in_both_directions_are_blended() {
        let plane = plane(Way::Both, &[0, 16, 32, 160, 16, 32], 3);
        let all = rows(&plane, 0..4);
        assert_eq!(all[0], [0, 4, 12, 20, 28, 32]);
        assert_eq!(all[1], [40, 34, 22, 20, 28, 32]);
        assert_eq!(all[3], [160, 124, 52, 20, 28, 32]);
    }

    #[test]
    fn other_parts_are_repeated() {
        let plane = plane(Way::Repeated(3, 2), &[1, 2, 3, 4], 2);
        assert_eq!(rows(&plane, 1..3), [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]);
    }

    #[test]
    fn ways_follow_the_sampling_factors() {
        let way = |luma: u8, chroma: u8, width: u8| {
            let header = [8, 0, 9, 0, width, 3, 1, luma, 0, 2, chroma, 0, 3, chroma, 0];
            let frame = Frame::read(&header, false).unwrap();
            Plane::new(&frame.components[1], &frame).map(|plane| plane.way)
        };
        assert_eq!(way(0x22, 0x11, 9), Ok(Way::Both));
        assert_eq!(way(0x22, 0x11, 4), Ok(Way::Repeated(2, 2)));
        assert_eq!(way(0x21, 0x11, 9), Ok(Way::Across));
        assert_eq!(way(0x21, 0x11, 3), Ok(Way::Repeated(2, 1)));
        assert_eq!(way(0x12, 0x11, 1), Ok(Way::Down));
        assert_eq!(way(0x41, 0x11, 9), Ok(Way::Repeated(4, 1)));
        assert_eq!(way(0x22, 0x22, 9), Ok(Way::Same));
        assert!(way(0x31, 0x21, 9).is_err());
    }
}
