//! Bits of coded data, the first in the highest place.
//! Knows nothing of markers: the data are without stuffing, and zeros follow them.

use super::JpegError;
use super::entropy::CUT;

/// Reads bits one after another. After the end it gives those of the next part, then zeros; [`Self::check`] tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// The first byte that is not in `bits` as a whole.
    position: usize,
    bits: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8], position: usize) -> Self {
        Self { data, position, bits: 0, count: 0 }
    }

    /// Makes sure of at least 32 bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.count < 32 {
            let word = self.data.get(self.position..).and_then(|rest| rest.first_chunk());
            let word = word.map_or(0, |bytes| u64::from_be_bytes(*bytes));
            self.bits |= word >> self.count;
            self.position += ((63 - self.count) >> 3) as usize;
            self.count |= 56;
        }
    }

    /// The next bits, up to 32 of them after a [`Self::refill`], the first in the highest place of 64.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.bits
    }

    /// Leaves bits behind; at most as many as [`Self::refill`] made sure of.
    #[inline(always)]
    pub(super) fn skip(&mut self, number: u32) {
        self.bits <<= number;
        self.count = self.count.wrapping_sub(number);
    }

    /// The next bits as a number; at most 16.
    #[inline(always)]
    pub(super) fn take(&mut self, number: u32) -> u32 {
        let value = (self.bits >> 1 >> (63 - number)) as u32;
        self.skip(number);
        value
    }

    /// The next bit, however many were read before.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.refill();
        self.take(1) == 1
    }

    /// A coefficient's bits as its value; T.81, figure F.12.
    #[inline(always)]
    pub(super) fn value(&mut self, size: u32) -> i32 {
        let value = self.take(size) as i32;
        signed(value, size)
    }

    /// An error if more bits were read than there are before `end`.
    #[inline(always)]
    pub(super) fn check(&self, end: usize) -> Result<(), JpegError> {
        if self.position * 8 > end * 8 + self.count as usize { Err(CUT) } else { Ok(()) }
    }
}

/// T.81, figure F.12.
#[inline(always)]
pub(super) fn signed(value: i32, size: u32) -> i32 {
    let half = (1 << size) >> 1;
    if value < half { value - (1 << size) + 1 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_and_their_end_is_noticed() {
        let mut data = vec![0b1010_0110, 0xFF, 0x01, 0x23];
        data.resize(20, 0);
        let mut reader = BitReader::new(&data, 0);
        assert!(reader.bit() && !reader.bit());
        assert_eq!(reader.take(6), 0b10_0110);
        assert_eq!(reader.take(0), 0);
        assert_eq!(reader.take(16), 0xFF01);
        reader.refill();
        assert_eq!(reader.take(8), 0x23);
        assert!(reader.check(4).is_ok());
        assert!(!reader.bit());
        assert!(reader.check(4).is_err());
        assert!((0..1000).all(|_| !reader.bit()));
    }

    #[test]
    fn values_are_signed_as_the_standard_says() {
        assert_eq!([0, 1, 2, 3].map(|v| signed(v, 2)), [-3, -2, 2, 3]);
        assert_eq!([signed(0, 0), signed(0, 1), signed(1, 1)], [0, -1, 1]);
    }
}
