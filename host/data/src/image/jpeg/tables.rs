//! The tables that a file carries: quantisation and Huffman codes, by their slots.
//! Knows nothing of components and scans.
//!
//! Source: T.81, B.2.4.1 and B.2.4.2.

use super::JpegError;
use super::huffman::Code;
use super::standard_tables;

/// Place in a block, row by row, of each coefficient in the order of the file; T.81, figure A.6.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Steps of the coefficients of a block, row by row.
pub(super) type Steps = [i16; 64];

/// The tables that hold at one place of a file.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) steps: [Option<Steps>; 4],
    dc: [Option<Code>; 4],
    ac: [Option<Code>; 4],
}

impl Tables {
    /// Takes over the tables of a DQT segment.
    pub(super) fn define_steps(&mut self, mut segment: &[u8]) -> Result<(), JpegError> {
        let wrong = JpegError::Broken("a quantisation table of the wrong length or number");
        while let [head, rest @ ..] = segment {
            let slot = self.steps.get_mut(usize::from(head & 15)).ok_or(wrong)?;
            let size = match head >> 4 {
                0 => 1,
                1 => 2,
                _ => return Err(wrong),
            };
            let (values, tail) = rest.split_at_checked(64 * size).ok_or(wrong)?;
            let mut steps = [0; 64];
            for (value, &place) in values.chunks_exact(size).zip(&ZIGZAG) {
                let step = value.iter().fold(0, |sum, &byte| sum << 8 | u16::from(byte));
                // Above 32767 libjpeg wraps around as well.
                steps[usize::from(place)] = step as i16;
            }
            *slot = Some(steps);
            segment = tail;
        }
        Ok(())
    }

    /// Takes over the codes of a DHT segment.
    pub(super) fn define_codes(&mut self, mut segment: &[u8]) -> Result<(), JpegError> {
        let wrong = JpegError::Broken("a Huffman table of the wrong length or number");
        while let [head, rest @ ..] = segment {
            let class = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(wrong),
            };
            let slot = class.get_mut(usize::from(head & 15)).ok_or(wrong)?;
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(wrong)?;
            let number = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, tail) = rest.split_at_checked(number).ok_or(wrong)?;
            *slot = Some(Code::new(*counts, symbols)?);
            segment = tail;
        }
        Ok(())
    }

    /// The code for first coefficients in a slot.
    pub(super) fn dc(&self, slot: usize) -> Result<Code, JpegError> {
        self.dc.get(slot).cloned().flatten().ok_or(NO_TABLE)
    }

    /// The code for the other coefficients.
    pub(super) fn ac(&self, slot: usize) -> Result<Code, JpegError> {
        self.ac.get(slot).cloned().flatten().ok_or(NO_TABLE)
    }

    /// Fills empty slots with the standard's own codes, which the pictures of motion JPEG mean without having them.
    pub(super) fn add_standard_codes(&mut self) {
        for (slot, code) in self.dc.iter_mut().enumerate().filter(|(_, code)| code.is_none()) {
            *code = standard_tables::dc(slot);
        }
        for (slot, code) in self.ac.iter_mut().enumerate().filter(|(_, code)| code.is_none()) {
            *code = standard_tables::ac(slot);
        }
    }
}

const NO_TABLE: JpegError = JpegError::Broken("a Huffman table that is not there");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_eight_and_sixteen_bits_are_read() {
        let mut tables = Tables::default();
        let mut segment = vec![0x00];
        segment.extend(1..=64);
        segment.push(0x13);
        segment.extend((1..=64).flat_map(|i: u16| (i * 256).to_be_bytes()));
        tables.define_steps(&segment).unwrap();
        let steps = tables.steps[0].unwrap();
        assert_eq!((steps[0], steps[1], steps[8], steps[63]), (1, 2, 3, 64));
        assert_eq!(tables.steps[3].unwrap()[8], 3 * 256);
        assert!(tables.define_steps(&segment[..70]).is_err());
        assert!(tables.define_steps(&[4]).is_err());
    }

    #[test]
    fn codes_that_are_cut_off_are_errors() {
        let mut tables = Tables::default();
        let mut segment = vec![0x10, 0, 1];
        segment.extend([0; 14]);
        assert!(tables.define_codes(&segment).is_err());
        segment.push(5);
        tables.define_codes(&segment).unwrap();
        assert!(tables.define_codes(&[0x24]).is_err());
        assert!(tables.ac(0).is_ok() && tables.dc(0).is_err());
        tables.add_standard_codes();
        assert!(tables.dc(1).is_ok() && tables.dc(2).is_err());
    }
}
