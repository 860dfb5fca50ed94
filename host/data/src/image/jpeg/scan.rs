//! The scan header, and the walk over a scan's units, which start anew at restarts.
//! Knows nothing of how a block is coded.
//!
//! Source: T.81, B.2.3 and A.2.

use super::JpegError;
use super::bits::BitReader;
use super::entropy::Entropy;
use super::frame::{Component, Frame};

/// What a scan header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// First and last coefficient, in the order of the file.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Bits left out by the scan before this one for the same coefficients, and by this one.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// A component in a scan: its place in the frame, and the slots of its Huffman tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// The most blocks in a unit of the interleaved order.
const MOST_BLOCKS: usize = 10;

impl ScanHeader {
    pub(super) fn read(segment: &[u8], frame: &Frame) -> Result<Self, JpegError> {
        let wrong = JpegError::Broken("a scan header of the wrong length");
        let [count, rest @ .., first, last, bits] = segment else { return Err(wrong) };
        let (entries, []) = rest.as_chunks::<2>() else { return Err(wrong) };
        if entries.is_empty() || entries.len() != usize::from(*count) {
            return Err(wrong);
        }
        let mut components: Vec<ScanComponent> = Vec::new();
        for [id, slots] in entries {
            let is_new = |index: &usize| components.iter().all(|known| known.index != *index);
            let index = (0..frame.components.len())
                .filter(is_new)
                .find(|&index| frame.components[index].id == *id)
                .ok_or(JpegError::Broken("a scan of a component that is not there"))?;
            let (dc, ac) = (usize::from(slots >> 4), usize::from(slots & 15));
            components.push(ScanComponent { index, dc, ac });
        }
        let blocks = |part: &ScanComponent| {
            let component = &frame.components[part.index];
            component.across * component.down
        };
        if components.len() > 1 && components.iter().map(blocks).sum::<usize>() > MOST_BLOCKS {
            return Err(JpegError::Broken("a scan of more than 10 blocks in a unit"));
        }
        let (first, last) = (usize::from(*first), usize::from(*last));
        Ok(Self { components, first, last, high: bits >> 4, low: bits & 15 })
    }

    /// Units in a row, and rows of them. A component alone in a scan has no blocks beyond its own.
    pub(super) fn units(&self, frame: &Frame) -> (usize, usize) {
        let component = &frame.components[self.components[0].index];
        match self.components.len() {
            1 => (component.blocks_across, component.blocks_down),
            _ => {
                let Component { stored_across, stored_down, across, down, .. } = component;
                (stored_across / across, stored_down / down)
            }
        }
    }

    /// Blocks across and down of a component in one unit.
    pub(super) fn unit(&self, component: &Component) -> (usize, usize) {
        match self.components.len() {
            1 => (1, 1),
            _ => (component.across, component.down),
        }
    }

    /// All blocks of the scan.
    pub(super) fn blocks(&self, frame: &Frame) -> usize {
        let (across, down) = self.units(frame);
        let blocks = |part: &ScanComponent| {
            let (h, v) = self.unit(&frame.components[part.index]);
            h * v * across * down
        };
        self.components.iter().map(blocks).sum()
    }
}

/// Where a scan is read, between two restarts.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    entropy: &'a Entropy,
    pub(super) reader: BitReader<'a>,
    end: usize,
    part: usize,
    interval: usize,
    left: usize,
}

impl<'a> Walk<'a> {
    /// At the start of a scan; an `interval` of 0 is one without restarts.
    pub(super) fn new(entropy: &'a Entropy, interval: usize) -> Result<Self, JpegError> {
        let (reader, end) = entropy.part(0)?;
        let interval = if interval == 0 { usize::MAX } else { interval };
        Ok(Self { entropy, reader, end, part: 0, interval, left: interval })
    }

    /// How many of `wanted` units come before the next restart, and whether a restart was passed just now.
    pub(super) fn run(&mut self, wanted: usize) -> Result<(usize, bool), JpegError> {
        let is_new = self.left == 0;
        if is_new {
            self.check()?;
            self.part += 1;
            (self.reader, self.end) = self.entropy.part(self.part)?;
            self.left = self.interval;
        }
        let run = wanted.min(self.left);
        self.left -= run;
        Ok((run, is_new))
    }

    /// An error if more was read than there is.
    pub(super) fn check(&self) -> Result<(), JpegError> {
        self.reader.check(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::read(b"\x08\0\x11\0\x23\x03\x01\x22\0\x02\x11\x01\x03\x11\x01", false).unwrap()
    }

    #[test]
    fn units_are_those_of_the_components_in_the_scan() {
        let frame = frame();
        let all = ScanHeader::read(b"\x03\x01\0\x02\x11\x03\x11\0\x3f\0", &frame).unwrap();
        assert_eq!((all.units(&frame), all.blocks(&frame)), ((3, 2), 36));
        assert_eq!(all.components[2], ScanComponent { index: 2, dc: 1, ac: 1 });
        let luma = ScanHeader::read(b"\x01\x01\0\x01\x05\x21", &frame).unwrap();
        assert_eq!((luma.units(&frame), luma.blocks(&frame)), ((5, 3), 15));
        assert_eq!((luma.first, luma.last, luma.high, luma.low), (1, 5, 2, 1));
    }

    #[test]
    fn scans_of_what_is_not_there_are_errors() {
        for segment in [
            &b"\0\0\x3f\0"[..],
            b"\x01\x01\0\0\x3f",
            b"\x01\x09\0\0\x3f\0",
            b"\x02\x01\0\x01\0\0\x3f\0",
            b"",
        ] {
            assert!(ScanHeader::read(segment, &frame()).is_err(), "{segment:?}");
        }
    }
}
