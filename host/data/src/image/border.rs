//! Growing a picture at the right and at the bottom.
//! Knows nothing of who asks for which size.
//!
//! Source: OpenCV `copyMakeBorder`.

use super::Image;

/// What is shown where no picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Blue, green, red.
    Constant([u8; 3]),
    /// The last pixel again and again.
    Edge,
    /// A mirror image about the last pixel, which is not shown twice.
    Reflect,
    /// A mirror image about the rim: the last pixel is shown twice.
    Symmetric,
}

impl Border {
    /// Which pixel of a side of `length` is shown at `position`.
    fn source(self, position: usize, length: usize) -> usize {
        let last = length - 1;
        match self {
            Self::Constant(_) | Self::Edge => position.min(last),
            Self::Reflect if last == 0 => 0,
            Self::Reflect => {
                let place = position % (2 * last);
                if place > last { 2 * last - place } else { place }
            }
            Self::Symmetric => {
                let place = position % (2 * length);
                if place > last { 2 * length - 1 - place } else { place }
            }
        }
    }
}

/// A copy grown to `width` x `height`; what is already larger stays.
pub fn pad(image: Image, width: usize, height: usize, border: Border) -> Image {
    if let Border::Constant(bgr) = border {
        return image.padded(width, height, bgr);
    }
    let (width, height) = (width.max(image.width()), height.max(image.height()));
    if image.is_empty() || (width, height) == (image.width(), image.height()) {
        return image;
    }
    let columns: Vec<usize> = (0..width).map(|x| border.source(x, image.width())).collect();
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row = image.row(border.source(y, image.height())).as_chunks::<3>().0;
        data.extend(columns.iter().flat_map(|x| row[*x]));
    }
    Image::new(width, height, data).expect("each row has `width` pixels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_border_continues_a_row_its_own_way() {
        let image = Image::new(3, 1, vec![1, 1, 1, 2, 2, 2, 3, 3, 3]).unwrap();
        let padded = |border| -> Vec<u8> {
            pad(image.clone(), 7, 1, border).data().iter().step_by(3).copied().collect()
        };
        assert_eq!(padded(Border::Constant([9; 3])), [1, 2, 3, 9, 9, 9, 9]);
        assert_eq!(padded(Border::Edge), [1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(padded(Border::Reflect), [1, 2, 3, 2, 1, 2, 3]);
        assert_eq!(padded(Border::Symmetric), [1, 2, 3, 3, 2, 1, 1]);
    }

    #[test]
    fn a_single_pixel_fills_everything() {
        let image = Image::new(1, 1, vec![4, 5, 6]).unwrap();
        let grown = pad(image, 2, 3, Border::Reflect);
        assert_eq!((grown.shape(), grown.pixel(1, 2)), ([3, 2], [4, 5, 6]));
    }
}
