//! A whole file, marker by marker, to pixels.
//! Knows nothing of files' names; what is read at each marker is in the modules beside.

use super::JpegError;
use super::coefficients::Coefficients;
use super::colour::Colours;
use super::entropy::Entropy;
use super::frame::{Frame, SIDE};
use super::huffman::{Decoder, Meaning};
use super::idct;
use super::progressive;
use super::scan::{ScanHeader, Walk};
use super::segments::{Segments, marker};
use super::sequential;
use super::tables::{Steps, Tables};
use super::upsample::{Plane, Row};
use crate::image::Image;

/// A picture, and the bytes of its EXIF block if it has one.
#[derive(Debug)]
pub(in crate::image) struct Decoded<'a> {
    pub(in crate::image) image: Image,
    pub(in crate::image) exif: Option<&'a [u8]>,
}

/// Decodes a JPEG file.
///
/// Errors: for a file that is damaged, that ends before its picture does, or of a kind that is not read: lossless,
/// arithmetically coded, of 12 bits, of 2 components.
pub(in crate::image) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, JpegError> {
    let mut file = File { segments: Segments::new(bytes), ..File::default() };
    while let Some(found) = file.segments.next_marker() {
        if found == marker::EOI || file.take_in(found)? {
            break;
        }
    }
    let picture = file.picture.ok_or(JpegError::Truncated("it has no picture"))?;
    let colours = Colours::of(&picture.frame, file.is_jfif, file.adobe);
    let image = picture.finish(colours)?;
    Ok(Decoded { image, exif: file.exif })
}

/// What is known of a file so far.
#[derive(Debug, Default)]
struct File<'a> {
    segments: Segments<'a>,
    tables: Tables,
    restart_interval: usize,
    is_jfif: bool,
    /// The kind of colours that Adobe's mark names.
    adobe: Option<u8>,
    exif: Option<&'a [u8]>,
    is_begun: bool,
    picture: Option<Picture>,
}

impl File<'_> {
    /// Takes in what follows a marker. True when nothing more is needed.
    fn take_in(&mut self, found: u8) -> Result<bool, JpegError> {
        match found {
            marker::SOI if !self.is_begun => self.is_begun = true,
            marker::RST0..=marker::RST7 | marker::TEM => {}
            marker::DHT => self.tables.define_codes(self.segments.segment()?)?,
            marker::DQT => self.tables.define_steps(self.segments.segment()?)?,
            marker::DRI => match self.segments.segment()? {
                [high, low] => {
                    self.restart_interval = usize::from(u16::from_be_bytes([*high, *low]));
                }
                _ => return Err(JpegError::Broken("a restart interval of the wrong length")),
            },
            marker::APP0 | marker::APP1 | marker::APP14 => self.take_application_data(found)?,
            marker::SOF0..=marker::SOF2 if self.picture.is_none() => {
                let frame = Frame::read(self.segments.segment()?, found == marker::SOF2)?;
                self.picture = Some(Picture::new(frame));
            }
            marker::SOF0..=marker::SOF2 => return Err(JpegError::Broken("a second picture")),
            marker::SOS => return self.scan(),
            marker::DAC | marker::DNL | marker::COM | marker::APP0..=marker::APP15 => {
                self.segments.segment()?;
            }
            marker::SOF0..=marker::SOF15 => {
                return Err(JpegError::Unsupported(
                    "expected one that is Huffman coded, not lossless",
                ));
            }
            _ => return Err(JpegError::Broken("a marker that no picture has")),
        }
        Ok(false)
    }

    fn take_application_data(&mut self, found: u8) -> Result<(), JpegError> {
        let segment = self.segments.segment()?;
        match (found, segment) {
            (marker::APP0, [b'J', b'F', b'I', b'F', 0, rest @ ..]) if rest.len() >= 9 => {
                self.is_jfif = true;
            }
            (marker::APP14, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, kind, ..]) => {
                self.adobe = Some(*kind);
            }
            (marker::APP1, [b'E', b'x', b'i', b'f', 0, 0, block @ ..]) => {
                self.exif = self.exif.or(Some(block));
            }
            _ => {}
        }
        Ok(())
    }

    /// Decodes a scan. True when it was all of the picture.
    fn scan(&mut self) -> Result<bool, JpegError> {
        let segment = self.segments.segment()?;
        let picture = self.picture.as_mut().ok_or(JpegError::Broken("a scan of no picture"))?;
        let scan = ScanHeader::read(segment, &picture.frame)?;
        let entropy = Entropy::take(&mut self.segments, self.restart_interval > 0)?;
        let mut walk = Walk::new(&entropy, self.restart_interval)?;
        picture.keep_steps(&scan, &self.tables)?;
        if picture.frame.is_progressive {
            picture.progressive_scan(&scan, &self.tables, &mut walk, entropy.bits())?;
            return Ok(false);
        }
        // At least one bit for the first coefficient, and one for the end of the others.
        if entropy.bits() < scan.blocks(&picture.frame) * 2 {
            return Err(super::entropy::CUT);
        }
        picture.sequential_scan(&scan, &self.tables, &mut walk)?;
        Ok(picture.parts.iter().all(|part| part.is_whole()))
    }
}

/// A picture while it is decoded.
#[derive(Debug)]
struct Picture {
    frame: Frame,
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
}

impl Picture {
    fn new(frame: Frame) -> Self {
        let part = |_| Part { steps: None, coefficients: None, plane: None, left_out: [None; 64] };
        Self { parts: frame.components.iter().map(part).collect(), frame }
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
        for &component in &scan.components {
            let known = &self.frame.components[component.index];
            let part = &mut self.parts[component.index];
            if part.is_whole() {
                return Err(JpegError::Broken("a component that comes twice"));
            }
            part.plane = Some(Plane::new(known, &self.frame)?);
            let unit = scan.unit(known);
            channels.push(sequential::Channel {
                dc: Decoder::new(&tables.dc(component.dc)?, Meaning::Difference)?,
                ac: Decoder::new(&tables.ac(component.ac)?, Meaning::Coefficient)?,
                unit,
                coefficients: Coefficients::new(known.stored_across, unit.1),
                before: 0,
            });
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

    fn progressive_scan(
        &mut self,
        scan: &ScanHeader,
        tables: &Tables,
        walk: &mut Walk<'_>,
        bits: usize,
    ) -> Result<(), JpegError> {
        self.note_progress(scan)?;
        let units = scan.units(&self.frame);
        if scan.first > 0 {
            let component = scan.components[0];
            let coefficients = &mut self.parts[component.index].coefficients;
            let coefficients = coefficients.as_mut().ok_or(OUT_OF_ORDER)?;
            let meaning = if scan.high == 0 { Meaning::CoefficientOrRun } else { Meaning::Symbol };
            let ac = Decoder::new(&tables.ac(component.ac)?, meaning)?;
            return progressive::decode_others(walk, &ac, coefficients, scan, units);
        }
        // At least one bit for each block.
        if bits < scan.blocks(&self.frame) {
            return Err(super::entropy::CUT);
        }
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
        progressive::decode_first(walk, &mut channels, units, scan.low)?;
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

    fn finish(mut self, colours: Colours) -> Result<Image, JpegError> {
        let mut planes = Vec::new();
        for (part, component) in self.parts.iter_mut().zip(&self.frame.components) {
            if !part.is_whole() {
                return Err(JpegError::Truncated("scans of the picture are not there"));
            }
            let plane = match (part.plane.take(), part.coefficients.take(), &part.steps) {
                (Some(plane), ..) => plane,
                (None, Some(mut coefficients), Some(steps)) => {
                    let mut plane = Plane::new(component, &self.frame)?;
                    coefficients.find_lasts();
                    transform(&coefficients, steps, &mut plane, 0);
                    plane
                }
                _ => return Err(OUT_OF_ORDER),
            };
            planes.push(plane);
        }
        let Frame { width, height, .. } = self.frame;
        let mut pixels = vec![0; width * height * 3];
        let mut rows: Vec<Row> = planes.iter().map(|_| Row::default()).collect();
        for (y, pixels) in pixels.chunks_exact_mut(width * 3).enumerate() {
            let samples = planes.iter().zip(&mut rows).map(|(plane, row)| plane.row(y, row));
            let mut lines: [&[u8]; 4] = [&[]; 4];
            let count = planes.len();
            lines.iter_mut().zip(samples).for_each(|(line, samples)| *line = samples);
            colours.convert_row(&lines[..count], pixels);
        }
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
