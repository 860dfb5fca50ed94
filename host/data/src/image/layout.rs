//! The picture in memory, and the operations that only move pixels: flip, pad, paste.
//! Knows nothing of files and colours.

use std::sync::Arc;

use multiversion::multiversion;

/// How a picture is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlipDirection {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both.
    Diagonal,
}

/// A picture.
///
/// Shapes: `height` x `width` x 3 bytes, rows one after another without gaps, channels blue, green, red. A clone shares
/// the bytes until one of both is changed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Image {
    width: usize,
    height: usize,
    data: Arc<Vec<u8>>,
}

impl Image {
    /// Wraps pixels; `None` if their number is not `width * height * 3`.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        (data.len() == width * height * 3).then(|| Self { width, height, data: Arc::new(data) })
    }

    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, bgr: [u8; 3]) -> Self {
        Self::by_rows(width, height, bgr, |_, _| {})
    }

    /// A picture that is made row by row: each has the colour `ground` when `write` gets it, with its number. A row that is
    /// made at once is in the processor's cache all the while, a whole picture is not.
    pub fn by_rows(
        width: usize,
        height: usize,
        ground: [u8; 3],
        mut write: impl FnMut(usize, &mut [u8]),
    ) -> Self {
        let empty = ground.repeat(width);
        let mut data = Vec::with_capacity(empty.len() * height);
        for y in 0..height {
            let start = data.len();
            data.extend_from_slice(&empty);
            write(y, &mut data[start..]);
        }
        Self { width, height, data: Arc::new(data) }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// True before a picture has been loaded.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// (height, width), the order of MMDetection's `img_shape`.
    pub fn shape(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.data).as_mut_slice()
    }

    /// Gives up the bytes.
    pub fn into_data(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.data)
    }

    /// The bytes of row `y`.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width * 3..(y + 1) * self.width * 3]
    }

    /// The bytes of row `y`, to be changed in place.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let stride = self.width * 3;
        &mut self.data_mut()[y * stride..(y + 1) * stride]
    }

    /// Blue, green and red at (x, y).
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }

    /// Sets blue, green and red at (x, y); outside the picture nothing happens.
    pub fn set_pixel(&mut self, x: i64, y: i64, bgr: [u8; 3]) {
        if x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height {
            let at = (y as usize * self.width + x as usize) * 3;
            self.data_mut()[at..at + 3].copy_from_slice(&bgr);
        }
    }

    /// Mirrors in place.
    pub fn flip(&mut self, direction: FlipDirection) {
        match direction {
            FlipDirection::Horizontal => self.flip_rows(),
            FlipDirection::Vertical => self.flip_columns(),
            FlipDirection::Diagonal => {
                self.flip_rows();
                self.flip_columns();
            }
        }
    }

    fn flip_rows(&mut self) {
        let stride = self.width * 3;
        if stride > 0 {
            mirror_rows(self.data_mut(), stride);
        }
    }

    fn flip_columns(&mut self) {
        let stride = self.width * 3;
        let half = self.height / 2 * stride;
        let from_below = self.data.len() - half;
        let (top, bottom) = self.data_mut().split_at_mut(from_below);
        if stride > 0 {
            let upper = top[..half].chunks_exact_mut(stride);
            for (a, b) in upper.zip(bottom.chunks_exact_mut(stride).rev()) {
                a.swap_with_slice(b);
            }
        }
    }

    /// A copy grown to `width` x `height` at the right and at the bottom. What is already larger stays.
    pub fn padded(self, width: usize, height: usize, bgr: [u8; 3]) -> Self {
        let (width, height) = (width.max(self.width), height.max(self.height));
        if (width, height) == (self.width, self.height) {
            return self;
        }
        Self::by_rows(width, height, bgr, |y, row| {
            if y < self.height {
                row[..self.width * 3].copy_from_slice(self.row(y));
            }
        })
    }

    /// Copies `other` with its corner at (x, y); what sticks out is left away.
    pub fn paste(&mut self, other: &Self, x: usize, y: usize) {
        let columns = other.width.min(self.width.saturating_sub(x));
        let rows = other.height.min(self.height.saturating_sub(y));
        for row in 0..rows {
            self.row_mut(y + row)[x * 3..(x + columns) * 3]
                .copy_from_slice(&other.row(row)[..columns * 3]);
        }
    }

    /// Paints the part of (x, y, width, height); what sticks out is left away.
    pub fn fill(&mut self, [x, y, width, height]: [usize; 4], bgr: [u8; 3]) {
        let columns = x.min(self.width)..x.saturating_add(width).min(self.width);
        for row in y.min(self.height)..y.saturating_add(height).min(self.height) {
            let pixels = &mut self.row_mut(row)[columns.start * 3..columns.end * 3];
            pixels.as_chunks_mut::<3>().0.fill(bgr);
        }
    }

    /// The part of `width` x `height` pixels from (x, y); the part must lie inside.
    pub fn cropped(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let mut data = Vec::with_capacity(width * height * 3);
        for row in y..y + height {
            data.extend_from_slice(&self.row(row)[x * 3..(x + width) * 3]);
        }
        Self { width, height, data: Arc::new(data) }
    }
}

/// Left and right change places: a reversal of the bytes, and another one of those of each pixel.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+ssse3"))]
fn mirror_rows(data: &mut [u8], stride: usize) {
    for row in data.chunks_exact_mut(stride) {
        row.reverse();
        reverse_channels(row);
    }
}

/// The order of channels is reversed in blocks, each taken out as a whole before it is put back: so it is vectorised.
#[inline(always)]
fn reverse_channels(bytes: &mut [u8]) {
    const BLOCK: usize = 32;
    let (blocks, rest) = bytes.as_chunks_mut::<3>().0.as_chunks_mut::<BLOCK>();
    for block in blocks {
        let old = *block;
        for i in 0..BLOCK {
            block[i] = [old[i][2], old[i][1], old[i][0]];
        }
    }
    rest.iter_mut().for_each(|pixel| pixel.swap(0, 2));
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Image {
        let data = (0..width * height).flat_map(|i| [i as u8, 100, 200]).collect();
        Image::new(width, height, data).unwrap()
    }

    fn blues(image: &Image) -> Vec<u8> {
        image.data().iter().step_by(3).copied().collect()
    }

    #[test]
    fn flips_move_whole_pixels() {
        let flipped = |direction| {
            let mut image = numbered(3, 3);
            image.flip(direction);
            assert_eq!(image.pixel(1, 1), [4, 100, 200]);
            blues(&image)
        };
        assert_eq!(flipped(FlipDirection::Horizontal), [2, 1, 0, 5, 4, 3, 8, 7, 6]);
        assert_eq!(flipped(FlipDirection::Vertical), [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(flipped(FlipDirection::Diagonal), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn padding_grows_right_and_down() {
        let image = numbered(2, 1).padded(3, 2, [9, 8, 7]);
        assert_eq!(blues(&image), [0, 1, 9, 9, 9, 9]);
        assert_eq!(image.pixel(2, 1), [9, 8, 7]);
    }

    #[test]
    fn paste_leaves_away_what_sticks_out() {
        let mut image = Image::filled(3, 2, [50; 3]);
        image.paste(&numbered(2, 2), 2, 1);
        assert_eq!(blues(&image), [50, 50, 50, 50, 50, 0]);
    }

    #[test]
    fn fill_paints_the_part_that_lies_inside() {
        let mut image = numbered(3, 2);
        image.fill([1, 1, 9, 9], [50; 3]);
        assert_eq!(blues(&image), [0, 1, 2, 3, 50, 50]);
        image.fill([7, 0, 1, 1], [60; 3]);
        assert_eq!(blues(&image), [0, 1, 2, 3, 50, 50]);
    }

    #[test]
    fn crop_takes_the_named_part() {
        assert_eq!(blues(&numbered(4, 3).cropped(1, 1, 2, 2)), [5, 6, 9, 10]);
    }

    #[test]
    fn wrong_number_of_bytes_is_refused() {
        assert!(Image::new(2, 2, vec![0; 11]).is_none());
    }
}
