//! Scans of the progressive kind: first coefficients or others, coarse or one bit finer.
//! Knows nothing of pixels.
//!
//! Source: T.81, G.1.2.

use super::JpegError;
use super::bits::BitReader;
use super::coefficients::{Block, Coefficients};
use super::huffman::{Decoder, END_OF_BLOCK};
use super::scan::{ScanHeader, Walk};
use super::sequential::NO_CODE;
use super::tables::ZIGZAG;

/// A component in a scan of first coefficients.
#[derive(Debug)]
pub(super) struct Channel {
    /// Unused where the scan makes finer.
    pub(super) dc: Option<Decoder>,
    /// Blocks across and down in a unit.
    pub(super) unit: (usize, usize),
    pub(super) coefficients: Coefficients,
}

/// Decodes a scan of first coefficients; `units` are those of a row and the rows.
pub(super) fn decode_first(
    walk: &mut Walk<'_>,
    channels: &mut [Channel],
    units: (usize, usize),
    low: u8,
) -> Result<(), JpegError> {
    let mut before = [0_i32; 4];
    for row in 0..units.1 {
        let mut at = 0;
        while at < units.0 {
            let (run, is_new) = walk.run(units.0 - at)?;
            if is_new {
                before = [0; 4];
            }
            for unit in at..at + run {
                for (channel, before) in channels.iter_mut().zip(&mut before) {
                    first_unit(&mut walk.reader, channel, (unit, row), (before, low))
                        .ok_or(NO_CODE)?;
                }
            }
            at += run;
        }
        walk.check()?;
    }
    Ok(())
}

/// The first coefficients of one component in the unit at (across, down).
fn first_unit(
    reader: &mut BitReader<'_>,
    channel: &mut Channel,
    (unit, row): (usize, usize),
    (before, low): (&mut i32, u8),
) -> Option<()> {
    let (h, v) = channel.unit;
    for down in row * v..(row + 1) * v {
        let start = down * channel.coefficients.across + unit * h;
        for block in channel.coefficients.blocks.get_mut(start..start + h)? {
            match &channel.dc {
                Some(dc) => {
                    reader.refill();
                    *before = before.wrapping_add(dc.coefficient(reader)?.1);
                    block[0] = before.wrapping_shl(low.into()) as i16;
                }
                None => block[0] |= i16::from(reader.bit()) << low,
            }
        }
    }
    Some(())
}

/// Decodes a scan of other coefficients, which is of one component alone.
pub(super) fn decode_others(
    walk: &mut Walk<'_>,
    ac: &Decoder,
    coefficients: &mut Coefficients,
    scan: &ScanHeader,
    units: (usize, usize),
) -> Result<(), JpegError> {
    // Blocks, this one too, in which nothing new follows.
    let mut run_of_ends = 0;
    for row in 0..units.1 {
        let start = row * coefficients.across;
        let blocks = &mut coefficients.blocks[start..start + units.0];
        let mut at = 0;
        while at < units.0 {
            let (run, is_new) = walk.run(units.0 - at)?;
            if is_new {
                run_of_ends = 0;
            }
            let mut reader = walk.reader;
            for block in &mut blocks[at..at + run] {
                let done = match scan.high {
                    0 => coarse(&mut reader, ac, block, scan, &mut run_of_ends),
                    _ => finer(&mut reader, ac, block, scan, &mut run_of_ends),
                };
                done.ok_or(NO_CODE)?;
            }
            walk.reader = reader;
            at += run;
        }
        walk.check()?;
    }
    Ok(())
}

/// T.81, G.1.2.2.
#[inline(always)]
fn coarse(
    reader: &mut BitReader<'_>,
    ac: &Decoder,
    block: &mut Block,
    scan: &ScanHeader,
    run_of_ends: &mut u32,
) -> Option<()> {
    if *run_of_ends > 0 {
        *run_of_ends -= 1;
        return Some(());
    }
    let mut next = scan.first;
    while next <= scan.last {
        reader.refill();
        let (advance, value) = ac.coefficient(reader)?;
        if advance == END_OF_BLOCK {
            let size = value as u32;
            *run_of_ends = (1 << size) - 1 + reader.take(size);
            break;
        }
        next += advance as usize;
        let place = *ZIGZAG.get(next - 1)?;
        if value != 0 {
            block[usize::from(place & 63)] = value.wrapping_shl(scan.low.into()) as i16;
        }
    }
    Some(())
}

/// T.81, G.1.2.3.
#[inline(always)]
fn finer(
    reader: &mut BitReader<'_>,
    ac: &Decoder,
    block: &mut Block,
    scan: &ScanHeader,
    run_of_ends: &mut u32,
) -> Option<()> {
    let bit = 1_i16 << scan.low;
    let mut next = scan.first;
    while *run_of_ends == 0 && next <= scan.last {
        reader.refill();
        let symbol = ac.symbol(reader)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        let mut value = 0;
        if size > 1 {
            return None;
        }
        if size == 1 {
            value = if reader.take(1) == 1 { bit } else { -bit };
        } else if zeros < 15 {
            *run_of_ends = (1 << zeros) + reader.take(u32::from(zeros));
            break;
        }
        let mut is_placed = false;
        // Passes over so many zeros, and makes what lies between them finer.
        while next <= scan.last {
            let coefficient = &mut block[usize::from(ZIGZAG[next])];
            if *coefficient != 0 {
                correct(reader, coefficient, bit);
            } else if zeros == 0 {
                *coefficient = value;
                is_placed = true;
            } else {
                zeros -= 1;
            }
            next += 1;
            if is_placed {
                break;
            }
        }
        if value != 0 && !is_placed {
            return None;
        }
    }
    if *run_of_ends > 0 {
        for &place in ZIGZAG.get(next..=scan.last).unwrap_or_default() {
            let coefficient = &mut block[usize::from(place)];
            if *coefficient != 0 {
                correct(reader, coefficient, bit);
            }
        }
        *run_of_ends -= 1;
    }
    Some(())
}

/// One bit more of a coefficient that is not zero.
#[inline(always)]
fn correct(reader: &mut BitReader<'_>, coefficient: &mut i16, bit: i16) {
    if reader.bit() && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit });
    }
}
