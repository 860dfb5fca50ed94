//! A picture from its scans to its pixels: coefficients, planes, rows.
//! Knows nothing of markers.

use super::JpegError;
use super::coefficients::Coefficients;
use super::colour::Colours;
use super::entropy::CUT;
use super::frame::{Component, Frame, SIDE};
use super::huffman::{Decoder, Meaning};
use super::idct;
use super::progressive;
use super::scan::{ScanComponent, ScanHeader, Walk};
use super::sequential;
use super::tables::{Steps, Tables};
use super::upsample::{Plane, Row};
use crate::image::Image;

/// A picture while it is decoded.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) frame: Frame,
    parts: Vec<Part>,
}

/// One component's data.
#[derive(Debug)]
struct Part {
    steps: Option<Steps>,
    /// Coefficients of a picture that is not decoded in one go.
    coefficients: Option<Coefficients>,
    plane: Option<Plane>,
    /// For each coefficient of a progressive picture the lowest bits that are still left out.
    left_out: [Option<u8>; 64],
}

impl Part {
    fn is_whole(&self) -> bool {
        self.plane.is_some() || self.left_out.iter().all(|&bits| bits == Some(0))
    }

    fn finish(self, component: &Component, frame: &Frame) -> Result<Plane, JpegError> {
        match (self.plane, self.coefficients, self.steps) {
            (Some(plane), ..) => Ok(plane),
            (None, Some(mut coefficients), Some(steps)) => {
                let mut plane = Plane::new(component, frame)?;
                coefficients.find_lasts();
                transform(&coefficients, &steps, &mut plane, 0);
                Ok(plane)
            }
            _ => Err(OUT_OF_ORDER),
        }
    }
}

impl Picture {
    pub(super) fn new(frame: Frame) -> Self {
        let part = |_| Part { steps: None, coefficients: None, plane: None, left_out: [None; 64] };
        Self { parts: frame.components.iter().map(part).collect(), frame }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.parts.iter().all(Part::is_whole)
    }

    /// Decodes a scan of so many `bits`.
    pub(super) fn scan(
        &mut self,
        scan: &ScanHeader,
        tables: &Tables,
        walk: &mut Walk<'_>,
        bits: usize,
    ) -> Result<(), JpegError> {
        self.keep_steps(scan, tables)?;
        // The least that a block takes: one bit for the first coefficient, one for the end of the others. Asked before
        // there is memory for the blocks.
        let least = match self.frame.is_progressive {
            true => usize::from(scan.first == 0),
            false => 2,
        };
        if bits < scan.blocks(&self.frame) * least {
            return Err(CUT);
        }
        if !self.frame.is_progressive {
            return self.sequential_scan(scan, tables, walk);
        }
        self.note_progress(scan)?;
        match scan.first {
            0 => self.progressive_scan_of_first(scan, tables, walk),
            _ => self.progressive_scan_of_others(scan, tables, walk),
        }
    }

    /// The steps that hold at a component's first scan are its own.
    fn keep_steps(&mut self, scan: &ScanHeader, tables: &Tables) -> Result<(), JpegError> {
        for &component in &scan.components {
            let part = &mut self.parts[component.index];
            if part.steps.is_none() {
                let slot = self.frame.components[component.index].table;
                let steps = tables.steps.get(slot).copied().flatten();
                part.steps =
                    Some(steps.ok_or(JpegError::Broken("a quantisation table that is not there"))?);
            }
        }
        Ok(())
    }

    /// Decodes row by row, and each row to samples at once.
    fn sequential_scan(
        &mut self,
        scan: &ScanHeader,
        tables: &Tables,
        walk: &mut Walk<'_>,
    ) -> Result<(), JpegError> {
        let mut channels = Vec::new();
        for part in &scan.components {
            channels.push(self.sequential_channel(*part, scan, tables)?);
        }
        let (across, down) = scan.units(&self.frame);
        for row in 0..down {
            channels.iter_mut().for_each(|channel| channel.coefficients.clear());
            sequential::decode_row(walk, &mut channels, across)?;
            for (channel, component) in channels.iter().zip(&scan.components) {
                let part = &mut self.parts[component.index];
                if let (Some(steps), Some(plane)) = (&part.steps, &mut part.plane) {
                    transform(&channel.coefficients, steps, plane, row * channel.unit.1);
                }
            }
        }
        Ok(())
    }

    fn sequential_channel(
        &mut self,
        part: ScanComponent,
        scan: &ScanHeader,
        tables: &Tables,
    ) -> Result<sequential::Channel, JpegError> {
        let component = &self.frame.components[part.index];
        let plane = &mut self.parts[part.index].plane;
        if plane.is_some() {
            return Err(JpegError::Broken("a component that comes twice"));
        }
        *plane = Some(Plane::new(component, &self.frame)?);
        let unit = scan.unit(component);
        Ok(sequential::Channel {
            dc: Decoder::new(&tables.dc(part.dc)?, Meaning::Difference)?,
            ac: Decoder::new(&tables.ac(part.ac)?, Meaning::Coefficient)?,
            unit,
            coefficients: Coefficients::new(component.stored_across, unit.1),
            before: 0,
        })
    }

    fn progressive_scan_of_others(
        &mut self,
        scan: &ScanHeader,
        tables: &Tables,
        walk: &mut Walk<'_>,
    ) -> Result<(), JpegError> {
        let component = scan.components[0];
        let coefficients = &mut self.parts[component.index].coefficients;
        let coefficients = coefficients.as_mut().ok_or(OUT_OF_ORDER)?;
        let meaning = if scan.high == 0 { Meaning::CoefficientOrRun } else { Meaning::Symbol };
        let ac = Decoder::new(&tables.ac(component.ac)?, meaning)?;
        progressive::decode_others(walk, &ac, coefficients, scan, scan.units(&self.frame))
    }

    fn progressive_scan_of_first(
        &mut self,
        scan: &ScanHeader,
        tables: &Tables,
        walk: &mut Walk<'_>,
    ) -> Result<(), JpegError> {
        let mut channels = Vec::new();
        for &component in &scan.components {
            let known = &self.frame.components[component.index];
            let coefficients = self.parts[component.index].coefficients.take();
            let dc = match scan.high {
                0 => Some(Decoder::new(&tables.dc(component.dc)?, Meaning::Difference)?),
                _ => None,
            };
            channels.push(progressive::Channel {
                dc,
                unit: scan.unit(known),
                coefficients: coefficients
                    .unwrap_or_else(|| Coefficients::new(known.stored_across, known.stored_down)),
            });
        }
        progressive::decode_first(walk, &mut channels, scan.units(&self.frame), scan.low)?;
        for (channel, component) in channels.into_iter().zip(&scan.components) {
            self.parts[component.index].coefficients = Some(channel.coefficients);
        }
        Ok(())
    }

    /// Each coefficient comes once, and then bit by bit: a scan that is none of these is an error.
    fn note_progress(&mut self, scan: &ScanHeader) -> Result<(), JpegError> {
        let ScanHeader { first, last, high, low, .. } = *scan;
        let is_first = first == 0 && last == 0;
        let is_others = first > 0 && first <= last && last < 64 && scan.components.len() == 1;
        if !(is_first || is_others) || low > 13 || (high != 0 && high != low + 1) {
            return Err(JpegError::Broken("a progressive scan that cannot be"));
        }
        let before = if high == 0 { None } else { Some(high) };
        for component in &scan.components {
            let part = &mut self.parts[component.index];
            for bits in &mut part.left_out[first..=last] {
                if *bits != before {
                    return Err(OUT_OF_ORDER);
                }
                *bits = Some(low);
            }
        }
        Ok(())
    }

    /// The pixels of a picture whose scans have all been decoded.
    pub(super) fn finish(self, colours: Colours) -> Result<Image, JpegError> {
        if !self.is_whole() {
            return Err(JpegError::Truncated("scans of the picture are not there"));
        }
        let Self { frame, parts } = self;
        let mut planes = Vec::new();
        for (part, component) in parts.into_iter().zip(&frame.components) {
            planes.push(part.finish(component, &frame)?);
        }
        let mut pixels = vec![0; frame.width * frame.height * 3];
        let mut rows: Vec<Row> = planes.iter().map(|_| Row::default()).collect();
        for (y, pixels) in pixels.chunks_exact_mut(frame.width * 3).enumerate() {
            let mut lines: [&[u8]; 4] = [&[]; 4];
            for ((line, plane), row) in lines.iter_mut().zip(&planes).zip(&mut rows) {
                *line = plane.row(y, row);
            }
            colours.convert_row(&lines[..planes.len()], pixels);
        }
        let Frame { width, height, .. } = frame;
        Image::new(width, height, pixels).ok_or(JpegError::Broken("it has too few pixels"))
    }
}

const OUT_OF_ORDER: JpegError = JpegError::Broken("progressive scans out of order");

/// Turns rows of blocks into samples of a plane, from its row of blocks `first` on.
fn transform(coefficients: &Coefficients, steps: &Steps, plane: &mut Plane, first: usize) {
    let Coefficients { blocks, lasts, across } = coefficients;
    let stride = plane.stride;
    let lines = plane.samples.chunks_exact_mut(stride * SIDE).skip(first);
    for ((blocks, lasts), lines) in blocks.chunks(*across).zip(lasts.chunks(*across)).zip(lines) {
        idct::transform_row(blocks, lasts, steps, lines, stride);
    }
}
