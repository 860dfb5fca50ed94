//! The coded bits of one scan, freed of their stuffing and parted where the decoder starts anew.
//! Knows nothing of what the bits mean.
//!
//! Source: T.81, B.1.1.5 and E.2.4.

use super::JpegError;
use super::bits::BitReader;
use super::segments::{Segments, marker};

/// Zeros after the last part, so that whole words can be read.
const PADDING: usize = 16;

/// The coded bits of a scan.
#[derive(Debug)]
pub(super) struct Entropy {
    data: Vec<u8>,
    /// Where each part ends in `data`: a part is what lies between two restarts.
    ends: Vec<usize>,
}

impl Entropy {
    /// Takes the bits at the place of the walk, up to the next marker that is no restart; the walk goes on there.
    pub(super) fn take(segments: &mut Segments<'_>, has_restarts: bool) -> Result<Self, JpegError> {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        let mut rest = segments.bytes.get(segments.position..).unwrap_or_default();
        while let Some(plain) = find_ff(rest) {
            data.extend_from_slice(&rest[..plain]);
            let at_mark = &rest[plain..];
            let fill = at_mark.iter().position(|&byte| byte != 0xFF).unwrap_or(at_mark.len());
            match at_mark.get(fill) {
                Some(0) => data.push(0xFF),
                Some(&found) if has_restarts && is_restart(found) => {
                    if usize::from(found - marker::RST0) != ends.len() % 8 {
                        return Err(JpegError::Broken("restart markers out of order"));
                    }
                    ends.push(data.len());
                }
                _ => {
                    rest = at_mark;
                    break;
                }
            }
            rest = &at_mark[fill + 1..];
        }
        // What is left begins with the marker, or is the end of a file that has none.
        if rest.first() != Some(&0xFF) {
            data.extend_from_slice(rest);
            rest = &[];
        }
        segments.position = segments.bytes.len() - rest.len();
        ends.push(data.len());
        data.resize(data.len() + PADDING, 0);
        Ok(Self { data, ends })
    }

    /// Bits that there are in all.
    pub(super) fn bits(&self) -> usize {
        self.ends.last().map_or(0, |end| end * 8)
    }

    /// A reader at the start of a part, and the place of its end.
    pub(super) fn part(&self, index: usize) -> Result<(BitReader<'_>, usize), JpegError> {
        let end = *self.ends.get(index).ok_or(CUT)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Ok((BitReader::new(&self.data, start), end))
    }
}

/// Said where coded data end too early.
pub(super) const CUT: JpegError =
    JpegError::Truncated("its coded data end before the picture does");

fn is_restart(found: u8) -> bool {
    (marker::RST0..=marker::RST7).contains(&found)
}

/// The place of the first byte FF, eight bytes at a time.
fn find_ff(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (words, tail) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let inverted = !u64::from_le_bytes(*word);
        let zeros = inverted.wrapping_sub(ONES) & !inverted & (ONES << 7);
        if zeros != 0 {
            return Some(i * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|&byte| byte == 0xFF).map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &[u8], has_restarts: bool) -> (Vec<u8>, Vec<usize>, usize) {
        let mut segments = Segments::new(bytes);
        let entropy = Entropy::take(&mut segments, has_restarts).unwrap();
        let length = entropy.data.len() - PADDING;
        (entropy.data[..length].to_vec(), entropy.ends, segments.position)
    }

    #[test]
    fn stuffing_goes_and_the_marker_stays() {
        assert_eq!(taken(b"ab\xff\0c\xff\xd9", false), (b"ab\xffc".to_vec(), vec![4], 5));
        assert_eq!(taken(b"ab\xff\xff\0c", false), (b"ab\xffc".to_vec(), vec![4], 6));
        assert_eq!(taken(b"abc\xff", false), (b"abc".to_vec(), vec![3], 3));
        assert_eq!(taken(b"", false), (vec![], vec![0], 0));
    }

    #[test]
    fn restarts_part_the_bits_where_they_are_announced() {
        let bytes = b"a\xff\xd0bc\xff\xd1d\xff\xd9";
        assert_eq!(taken(bytes, true), (b"abcd".to_vec(), vec![1, 3, 4], 8));
        assert_eq!(taken(bytes, false), (b"a".to_vec(), vec![1], 1));
        let mut segments = Segments::new(b"a\xff\xd1b");
        assert!(Entropy::take(&mut segments, true).is_err());
    }

    #[test]
    fn ff_is_found_at_every_place() {
        for place in 0..40 {
            let mut bytes = [0xFE_u8; 40];
            bytes[place] = 0xFF;
            assert_eq!(find_ff(&bytes), Some(place));
        }
        assert_eq!(find_ff(&[0xFE, 0, 1, 0x7F, 0x80, 0xFE, 2, 3, 4]), None);
    }
}
