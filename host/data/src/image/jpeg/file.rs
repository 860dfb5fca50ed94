//! A whole file, marker by marker, to pixels.
//! Knows nothing of the file's name; what is read at each marker is in the modules beside.

use super::JpegError;
use super::colour::Colours;
use super::entropy::Entropy;
use super::frame::Frame;
use super::picture::Picture;
use super::scan::{ScanHeader, Walk};
use super::segments::{Segments, marker};
use super::tables::Tables;
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
            marker::APP0..=marker::APP15 => self.take_application_data(found)?,
            marker::SOF0..=marker::SOF2 => {
                let frame = Frame::read(self.segments.segment()?, found == marker::SOF2)?;
                if self.picture.replace(Picture::new(frame)).is_some() {
                    return Err(JpegError::Broken("a second picture"));
                }
            }
            marker::SOS => return self.scan(),
            marker::DAC | marker::DNL | marker::COM => {
                self.segments.segment()?;
            }
            marker::SOF3 | marker::SOF5..=marker::SOF11 | marker::SOF13..=marker::SOF15 => {
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
        if !picture.frame.is_progressive {
            self.tables.add_standard_codes();
        }
        let entropy = Entropy::take(&mut self.segments, self.restart_interval > 0)?;
        let mut walk = Walk::new(&entropy, self.restart_interval)?;
        picture.scan(&scan, &self.tables, &mut walk, entropy.bits())?;
        // Scans of a progressive picture make finer what is there: the last one cannot be told from the others.
        Ok(!picture.frame.is_progressive && picture.is_whole())
    }
}
