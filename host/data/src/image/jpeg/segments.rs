//! A file's markers, and the segments that follow them.
//! Knows nothing of what is in a segment.
//!
//! Source: T.81, B.1.1.

use super::JpegError;

/// The markers that are told apart; T.81, table B.1.
pub(super) mod marker {
    pub(in super::super) const SOF0: u8 = 0xC0;
    pub(in super::super) const SOF2: u8 = 0xC2;
    pub(in super::super) const SOF3: u8 = 0xC3;
    pub(in super::super) const SOF5: u8 = 0xC5;
    pub(in super::super) const SOF11: u8 = 0xCB;
    pub(in super::super) const SOF13: u8 = 0xCD;
    pub(in super::super) const SOF15: u8 = 0xCF;
    pub(in super::super) const DHT: u8 = 0xC4;
    pub(in super::super) const DAC: u8 = 0xCC;
    pub(in super::super) const RST0: u8 = 0xD0;
    pub(in super::super) const RST7: u8 = 0xD7;
    pub(in super::super) const SOI: u8 = 0xD8;
    pub(in super::super) const EOI: u8 = 0xD9;
    pub(in super::super) const SOS: u8 = 0xDA;
    pub(in super::super) const DQT: u8 = 0xDB;
    pub(in super::super) const DNL: u8 = 0xDC;
    pub(in super::super) const DRI: u8 = 0xDD;
    pub(in super::super) const APP0: u8 = 0xE0;
    pub(in super::super) const APP1: u8 = 0xE1;
    pub(in super::super) const APP14: u8 = 0xEE;
    pub(in super::super) const APP15: u8 = 0xEF;
    pub(in super::super) const COM: u8 = 0xFE;
    pub(in super::super) const TEM: u8 = 0x01;
}

/// Walks through a file.
#[derive(Debug, Default)]
pub(super) struct Segments<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the next byte is read; never after the end.
    pub(super) position: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next marker, or `None` at the file's end. Bytes before it that belong to nothing are passed over, as are
    /// fill bytes.
    pub(super) fn next_marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.bytes.get(self.position..)?;
            let start = rest.iter().position(|&byte| byte == 0xFF)?;
            let fill = rest[start..].iter().position(|&byte| byte != 0xFF)?;
            self.position += start + fill + 1;
            match rest[start + fill] {
                0 => {}
                found => return Some(found),
            }
        }
    }

    /// The bytes of the segment after a marker, without their length.
    pub(super) fn segment(&mut self) -> Result<&'a [u8], JpegError> {
        let cut = JpegError::Truncated("a segment goes beyond the file's end");
        let rest = self.bytes.get(self.position..).ok_or(cut)?;
        let [high, low, ..] = rest else { return Err(cut) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length < 2 {
            return Err(JpegError::Broken("a segment shorter than its own length"));
        }
        self.position += length.min(rest.len());
        rest.get(2..length).ok_or(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_bytes_and_bytes_that_belong_to_nothing_are_passed_over() {
        let mut segments = Segments::new(b"\x01\xff\0\x02\xff\xff\xff\xe1\0\x03a\xff\xd9");
        assert_eq!(segments.next_marker(), Some(marker::APP1));
        assert_eq!(segments.segment(), Ok(&b"a"[..]));
        assert_eq!(segments.next_marker(), Some(marker::EOI));
        assert_eq!(segments.next_marker(), None);
    }

    #[test]
    fn a_segment_that_is_cut_off_is_an_error() {
        for bytes in [&b""[..], b"\0", b"\0\x01", b"\0\x04a"] {
            assert!(Segments::new(bytes).segment().is_err());
        }
    }
}
