//! Writes an event file, as PyTorch's `SummaryWriter` does. Knows nothing of when.
//!
//! Source: TensorFlow `core/util/event.proto`, `core/framework/{summary,tensor,tensor_shape}.proto` for the numbers of
//! fields; PyTorch `torch/utils/tensorboard/{writer,summary}.py` for what is in them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::frame::framed;
use super::message::Message;
use crate::ReportError;

/// `DataType.DT_STRING` of TensorFlow.
const STRING: i64 = 7;

/// Tells files of one second and process apart.
static FILES: AtomicU64 = AtomicU64::new(0);

/// An event file that is being written.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Makes `events.out.tfevents.<seconds>.<host>.<process>.<number>` in a folder.
    ///
    /// Errors: the file cannot be made.
    pub fn create(folder: &Path) -> Result<EventWriter, ReportError> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        let (seconds, process) = (now() as u64, std::process::id());
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("events.out.tfevents.{seconds:010}.{host}.{process}.{number}");
        let path = folder.join(name);
        let file = File::options().write(true).create_new(true).open(&path);
        let file = BufWriter::new(file.map_err(|source| ReportError::file(&path, source))?);
        let mut writer = EventWriter { path, file };
        writer.write(&Message::default().double(1, now()).text(3, "brain.Event:2"))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number of one step.
    ///
    /// Errors: the file cannot be written.
    pub fn scalar(&mut self, tag: &str, value: f64, step: u64) -> Result<(), ReportError> {
        self.value(&Message::default().text(1, tag).float(2, value as f32), step)
    }

    /// A picture as the bytes of a PNG file, whose size is read from it.
    ///
    /// Errors: bytes that are no PNG, or the file cannot be written.
    pub fn png(&mut self, tag: &str, png: &[u8], step: u64) -> Result<(), ReportError> {
        let Some((width, height)) = png_size(png) else {
            let message = format!("picture {tag}: expected a PNG file, found something else");
            return Err(ReportError::Malformed { path: self.path.clone(), message });
        };
        // The colour space 3 is RGB.
        let picture = Message::default()
            .number(1, i64::from(height))
            .number(2, i64::from(width))
            .number(3, 3)
            .bytes(4, png);
        self.value(&Message::default().text(1, tag).message(4, &picture), step)
    }

    /// A text, which TensorBoard shows as Markdown.
    ///
    /// Errors: the file cannot be written.
    pub fn text(&mut self, tag: &str, text: &str, step: u64) -> Result<(), ReportError> {
        let plugin = Message::default().text(1, "text");
        let metadata = Message::default().message(1, &plugin);
        let one = Message::default().number(1, 1);
        let shape = Message::default().message(2, &one);
        let tensor = Message::default().number(1, STRING).message(2, &shape).text(8, text);
        let value = Message::default()
            .text(1, &format!("{tag}/text_summary"))
            .message(8, &tensor)
            .message(9, &metadata);
        self.value(&value, step)
    }

    /// Hands everything to the system.
    ///
    /// Errors: the file cannot be written.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.file.flush().map_err(|source| ReportError::file(&self.path, source))
    }

    fn value(&mut self, value: &Message, step: u64) -> Result<(), ReportError> {
        let summary = Message::default().message(1, value);
        let event = Message::default().double(1, now()).number(2, step as i64).message(5, &summary);
        self.write(&event)
    }

    fn write(&mut self, event: &Message) -> Result<(), ReportError> {
        let written = self.file.write_all(&framed(event.as_bytes()));
        written.map_err(|source| ReportError::file(&self.path, source))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Width and height of a PNG file in pixels.
pub(crate) fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let fields = header.get(8..16).filter(|_| header.get(4..8) == Some(b"IHDR".as_slice()))?;
    let number = |part: &[u8]| part.try_into().ok().map(u32::from_be_bytes);
    Some((number(&fields[..4])?, number(&fields[4..])?))
}
