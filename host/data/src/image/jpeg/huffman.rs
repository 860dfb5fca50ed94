//! Huffman codes, and lookups that give a code's meaning together with the bits after it.
//! Knows nothing of blocks.
//!
//! Source: T.81, annex C and F.2.2.3.

use super::JpegError;
use super::bits::{BitReader, signed};

/// Bits that the lookup is asked with.
const LOOKUP: u32 = 10;
/// Advance that ends a block: beyond every coefficient.
pub(super) const END_OF_BLOCK: u32 = 128;

/// A code as a file gives it: how many codes have each length, and their symbols in order.
#[derive(Debug, Clone)]
pub(super) struct Code {
    counts: [u8; 16],
    symbols: [u8; 256],
}

impl Code {
    pub(super) fn new(counts: [u8; 16], symbols: &[u8]) -> Result<Self, JpegError> {
        let wrong = JpegError::Broken("a Huffman table that is no code");
        let mut all = [0; 256];
        all.get_mut(..symbols.len()).ok_or(wrong)?.copy_from_slice(symbols);
        let mut free = 1_u32;
        for &count in &counts {
            free = (free * 2).checked_sub(u32::from(count)).ok_or(wrong)?;
        }
        Ok(Self { counts, symbols: all })
    }
}

/// What a symbol means, and so what the lookup can hold of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The size of a difference between first coefficients.
    Difference,
    /// Zeros before a coefficient and its size, or the block's end.
    Coefficient,
    /// The same in a progressive scan, where the block's end may be that of further blocks.
    CoefficientOrRun,
    /// Nothing but itself.
    Symbol,
}

/// One answer of the lookup: bits in all, advance over coefficients, value; or only a symbol and its bits.
#[derive(Debug, Clone, Copy, Default)]
struct Entry(u32);

impl Entry {
    const INCOMPLETE: u32 = 0x80;

    fn complete(bits: u32, advance: u32, value: i32) -> Self {
        Self(bits | advance << 8 | (value as u32) << 16)
    }

    fn symbol(bits: u32, symbol: u8) -> Self {
        Self(bits | Self::INCOMPLETE | u32::from(symbol) << 8)
    }

    fn bits(self) -> u32 {
        self.0 & 0x3F
    }

    fn advance(self) -> u32 {
        self.0 >> 8 & 0xFF
    }

    fn value(self) -> i32 {
        self.0 as i32 >> 16
    }
}

/// A code made ready for decoding.
#[derive(Debug)]
pub(super) struct Decoder {
    lookup: Box<[Entry; 1 << LOOKUP]>,
    /// For each length the first 16 bits that are no longer a code of it, and where its symbols begin less its
    /// first code.
    limits: [u32; 17],
    offsets: [u32; 17],
    symbols: [u8; 256],
    meaning: Meaning,
}

impl Decoder {
    pub(super) fn new(code: &Code, meaning: Meaning) -> Result<Self, JpegError> {
        if meaning == Meaning::Difference {
            let number = code.counts.iter().map(|&count| usize::from(count)).sum();
            if code.symbols[..number].iter().any(|&size| size > 15) {
                return Err(JpegError::Broken("a Huffman table with a difference of 16 bits"));
            }
        }
        let mut lookup = Box::new([Entry(Entry::INCOMPLETE); 1 << LOOKUP]);
        let (mut limits, mut offsets) = ([0; 17], [0; 17]);
        let (mut next, mut index) = (0_u32, 0_u32);
        for (length, &count) in (1_u32..).zip(&code.counts) {
            let at = length as usize;
            offsets[at] = index.wrapping_sub(next);
            for _ in 0..count {
                if length <= LOOKUP {
                    let free = LOOKUP - length;
                    let answers = &mut lookup[(next << free) as usize..][..1 << free];
                    fill(answers, length, code.symbols[index as usize], meaning);
                }
                next += 1;
                index += 1;
            }
            limits[at] = next << (16 - length);
            next *= 2;
        }
        Ok(Self { lookup, limits, offsets, symbols: code.symbols, meaning })
    }

    #[inline(always)]
    fn entry(&self, reader: &BitReader<'_>) -> Entry {
        self.lookup[(reader.peek() >> (64 - LOOKUP)) as usize]
    }

    /// The next coefficient: how far it lies after the last one, and its value. An advance of [`END_OF_BLOCK`] ends the
    /// block, in a progressive scan with the size of the run as value; a value of 0 is else but an advance. `None` for
    /// bits that are no code. Takes up to 31 bits.
    #[inline(always)]
    pub(super) fn coefficient(&self, reader: &mut BitReader<'_>) -> Option<(u32, i32)> {
        let entry = self.entry(reader);
        if entry.0 & Entry::INCOMPLETE == 0 {
            reader.skip(entry.bits());
            return Some((entry.advance(), entry.value()));
        }
        let symbol = self.symbol(reader)?;
        let (advance, size) = parts(symbol, self.meaning);
        if advance == END_OF_BLOCK {
            return Some((advance, i32::from(symbol >> 4)));
        }
        Some((advance, reader.value(size)))
    }

    /// The next symbol alone. Takes up to 16 bits.
    #[inline(always)]
    pub(super) fn symbol(&self, reader: &mut BitReader<'_>) -> Option<u8> {
        let entry = self.entry(reader);
        if entry.0 & Entry::INCOMPLETE != 0 && entry.bits() != 0 {
            reader.skip(entry.bits());
            return Some(entry.advance() as u8);
        }
        self.long_symbol(reader)
    }

    /// A symbol by the limits of the lengths.
    #[inline(never)]
    fn long_symbol(&self, reader: &mut BitReader<'_>) -> Option<u8> {
        let next = (reader.peek() >> 48) as u32;
        let length = (1..=16).find(|&length| next < self.limits[length])?;
        reader.skip(length as u32);
        let index = (next >> (16 - length)).wrapping_add(self.offsets[length]);
        self.symbols.get(index as usize).copied()
    }
}

/// The advance and the size that a symbol stands for.
#[inline(always)]
fn parts(symbol: u8, meaning: Meaning) -> (u32, u32) {
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    match meaning {
        Meaning::Difference => (0, u32::from(symbol) & 15),
        _ if size == 0 && run != 15 => (END_OF_BLOCK, 0),
        _ => (run + 1, size),
    }
}

/// Enters a symbol for all the bits that may follow its code.
fn fill(answers: &mut [Entry], length: u32, symbol: u8, meaning: Meaning) {
    let free = answers.len().trailing_zeros();
    let (advance, size) = parts(symbol, meaning);
    let is_alone = match meaning {
        Meaning::Symbol => true,
        Meaning::CoefficientOrRun => size == 0,
        Meaning::Difference | Meaning::Coefficient => false,
    };
    if is_alone || size > free {
        answers.fill(Entry::symbol(length, symbol));
        return;
    }
    for (following, answer) in answers.iter_mut().enumerate() {
        let value = signed((following >> (free - size)) as i32, size);
        *answer = Entry::complete(length + size, advance, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110, 1110 and one of 16 bits, 1111 1111 1111 1110.
    fn code() -> Code {
        let mut counts = [0; 16];
        counts[..4].fill(1);
        counts[15] = 1;
        // Codes of equal length follow one another, so the last one is 1111 0000 0000 0000.
        Code::new(counts, &[0x00, 0x01, 0x23, 0xF0, 0x1F]).unwrap()
    }

    fn bits(text: &str) -> Vec<u8> {
        let padded = format!("{text:0<160}");
        let bytes = padded.as_bytes().chunks(8);
        bytes.map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))).collect()
    }

    #[test]
    fn coefficients_come_with_their_advance() {
        let decoder = Decoder::new(&code(), Meaning::Coefficient).unwrap();
        for (text, expected) in [
            ("0", (END_OF_BLOCK, 0)),
            ("10", (1, -1)),
            ("101", (1, 1)),
            ("110100", (3, 4)),
            ("110000", (3, -7)),
            ("1110", (16, 0)),
            ("1111000000000000100000000000000", (2, 16384)),
        ] {
            let data = bits(text);
            let mut reader = BitReader::new(&data, 0);
            reader.refill();
            assert_eq!(decoder.coefficient(&mut reader), Some(expected), "{text}");
        }
        let data = bits("1111000000000001");
        let mut reader = BitReader::new(&data, 0);
        reader.refill();
        assert_eq!(decoder.coefficient(&mut reader), None);
    }

    #[test]
    fn symbols_alone_take_no_more_than_their_code() {
        for meaning in [Meaning::Symbol, Meaning::CoefficientOrRun] {
            let decoder = Decoder::new(&code(), meaning).unwrap();
            let data = bits("0111011110000000000000");
            let mut reader = BitReader::new(&data, 0);
            reader.refill();
            for expected in [0x00, 0xF0, 0x1F] {
                assert_eq!(decoder.symbol(&mut reader), Some(expected));
                reader.refill();
            }
        }
    }

    #[test]
    fn too_many_codes_are_no_code() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Code::new(counts, &[1, 2, 3]).is_err());
        counts[0] = 1;
        assert!(Code::new(counts, &[0; 257]).is_err());
        let code = Code::new(counts, &[16]).unwrap();
        assert!(Decoder::new(&code, Meaning::Difference).is_err());
    }
}
