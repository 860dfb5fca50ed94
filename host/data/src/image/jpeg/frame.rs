//! The frame header: size, components, and how many blocks each has.
//! Knows nothing of scans.
//!
//! Source: T.81, B.2.2 and A.1 and A.2.

use super::JpegError;

/// Samples along a block's side.
pub(super) const SIDE: usize = 8;
/// The longest side that libjpeg takes.
const LONGEST: usize = 65_500;
const MOST_SAMPLING: usize = 4;

/// One of the planes that a picture is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors: blocks in a unit of the interleaved order.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Which quantisation table is its own.
    pub(super) table: usize,
    /// Samples that count.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks that hold samples which count.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// Blocks that are stored: whole units of the interleaved order.
    pub(super) stored_across: usize,
    pub(super) stored_down: usize,
}

/// What a frame header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) is_progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
}

impl Frame {
    /// Reads the segment of SOF0, SOF1 or SOF2.
    pub(super) fn read(segment: &[u8], is_progressive: bool) -> Result<Self, JpegError> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = segment else {
            return Err(JpegError::Broken("a frame header that is too short"));
        };
        if *precision != 8 {
            return Err(JpegError::Unsupported("expected 8 bits a sample"));
        }
        let height = usize::from(u16::from_be_bytes([*h1, *h0]));
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        if width == 0 || height == 0 {
            return Err(JpegError::Broken("a picture without pixels"));
        }
        if width > LONGEST || height > LONGEST {
            return Err(JpegError::Broken("a side of more than 65500 pixels"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(JpegError::Unsupported("expected 1, 3 or 4 components"));
        }
        let (entries, []) = rest.as_chunks::<3>() else {
            return Err(JpegError::Broken("a frame header of the wrong length"));
        };
        if entries.len() != usize::from(*count) {
            return Err(JpegError::Broken("a frame header of the wrong length"));
        }
        Self::with_components(is_progressive, width, height, entries)
    }

    fn with_components(
        is_progressive: bool,
        width: usize,
        height: usize,
        entries: &[[u8; 3]],
    ) -> Result<Self, JpegError> {
        let factors = |entry: &[u8; 3]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
        let right = 1..=MOST_SAMPLING;
        if entries.iter().map(factors).any(|(h, v)| !right.contains(&h) || !right.contains(&v)) {
            return Err(JpegError::Broken("a sampling factor that is not 1 to 4"));
        }
        let across = entries.iter().map(|entry| factors(entry).0).max().unwrap_or(1);
        let down = entries.iter().map(|entry| factors(entry).1).max().unwrap_or(1);
        let units_across = width.div_ceil(SIDE * across);
        let units_down = height.div_ceil(SIDE * down);
        let component = |entry: &[u8; 3]| {
            let (h, v) = factors(entry);
            Component {
                id: entry[0],
                across: h,
                down: v,
                table: usize::from(entry[2]),
                width: (width * h).div_ceil(across),
                height: (height * v).div_ceil(down),
                blocks_across: (width * h).div_ceil(across * SIDE),
                blocks_down: (height * v).div_ceil(down * SIDE),
                stored_across: units_across * h,
                stored_down: units_down * v,
            }
        };
        let components = entries.iter().map(component).collect();
        Ok(Self { is_progressive, width, height, components, across, down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_halved_colours_are_counted() {
        let frame =
            Frame::read(b"\x08\0\x11\0\x23\x03\x01\x22\0\x02\x11\x01\x03\x11\x01", false).unwrap();
        assert_eq!((frame.width, frame.height, frame.across, frame.down), (35, 17, 2, 2));
        let [luma, chroma, _] = frame.components[..] else { panic!() };
        assert_eq!((luma.blocks_across, luma.blocks_down), (5, 3));
        assert_eq!((luma.stored_across, luma.stored_down), (6, 4));
        assert_eq!((chroma.width, chroma.height), (18, 9));
        assert_eq!((chroma.blocks_across, chroma.stored_across), (3, 3));
    }

    #[test]
    fn frames_that_no_picture_has_are_errors() {
        for (segment, named) in [
            (&b"\x08\0\x11\0"[..], "too short"),
            (b"\x0c\0\x11\0\x23\x01\x01\x11\0", "8 bits"),
            (b"\x08\0\0\0\x23\x01\x01\x11\0", "without pixels"),
            (b"\x08\xff\xff\0\x23\x01\x01\x11\0", "65500"),
            (b"\x08\0\x11\0\x23\x02\x01\x11\0\x02\x11\0", "components"),
            (b"\x08\0\x11\0\x23\x01\x01\x11", "wrong length"),
            (b"\x08\0\x11\0\x23\x01\x01\x51\0", "sampling"),
        ] {
            let error = Frame::read(segment, false).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
