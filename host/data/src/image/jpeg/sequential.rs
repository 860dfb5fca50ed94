//! Blocks of the baseline and extended sequential kinds.
//! Knows nothing of pixels.
//!
//! Source: T.81, F.2.

use multiversion::multiversion;

use super::JpegError;
use super::bits::BitReader;
use super::coefficients::{Block, Coefficients};
use super::huffman::{Decoder, END_OF_BLOCK};
use super::scan::Walk;
use super::tables::ZIGZAG;

/// A component while its blocks are decoded.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) dc: Decoder,
    pub(super) ac: Decoder,
    /// Blocks across and down in a unit.
    pub(super) unit: (usize, usize),
    pub(super) coefficients: Coefficients,
    /// The first coefficient of the block before.
    pub(super) before: i32,
}

/// Said where the bits are no code.
pub(super) const NO_CODE: JpegError = JpegError::Broken("its coded data are damaged");

/// Decodes a row of `across` units into the channels' blocks, which are those of one row of units.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+movbe"))]
pub(super) fn decode_row(
    walk: &mut Walk<'_>,
    channels: &mut [Channel],
    across: usize,
) -> Result<(), JpegError> {
    let mut at = 0;
    while at < across {
        let (run, is_new) = walk.run(across - at)?;
        if is_new {
            channels.iter_mut().for_each(|channel| channel.before = 0);
        }
        let mut reader = walk.reader;
        for unit in at..at + run {
            for channel in &mut *channels {
                decode_unit(&mut reader, channel, unit).ok_or(NO_CODE)?;
            }
        }
        walk.reader = reader;
        at += run;
    }
    walk.check()
}

/// The blocks of one component in one unit.
#[inline(always)]
fn decode_unit(reader: &mut BitReader<'_>, channel: &mut Channel, unit: usize) -> Option<()> {
    let (h, v) = channel.unit;
    for down in 0..v {
        let start = down * channel.coefficients.across + unit * h;
        let blocks = channel.coefficients.blocks.get_mut(start..start + h)?;
        let lasts = channel.coefficients.lasts.get_mut(start..start + h)?;
        for (block, last) in blocks.iter_mut().zip(lasts) {
            reader.refill();
            let (_, difference) = channel.dc.coefficient(reader)?;
            channel.before = channel.before.wrapping_add(difference);
            block[0] = channel.before as i16;
            *last = decode_others(reader, &channel.ac, block)?;
        }
    }
    Some(())
}

/// All coefficients but the first; gives the place of the last.
#[inline(always)]
fn decode_others(reader: &mut BitReader<'_>, ac: &Decoder, block: &mut Block) -> Option<u8> {
    let mut place = 0;
    while place < 63 {
        reader.refill();
        let (advance, value) = ac.coefficient(reader)?;
        let next = place + advance;
        match ZIGZAG.get(next as usize) {
            Some(&at) => block[usize::from(at & 63)] = value as i16,
            None if next >= END_OF_BLOCK => break,
            None => return None,
        }
        place = next;
    }
    Some(place as u8)
}
