//! Reads an event file, strictly: what a checksum, a length or a field does not fit is an error with its place.
//! Knows nothing of how one is written.

use std::path::Path;

use super::frame::records;
use super::message::{Field, fields};
use crate::ReportError;

/// What was written at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The step that it belongs to.
    pub step: i64,
    /// The version of the file, in its first event only.
    pub file_version: Option<String>,
    /// What was written.
    pub values: Vec<TaggedValue>,
}

/// A value with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedValue {
    /// The name: `loss`.
    pub tag: String,
    /// What it is.
    pub value: Value,
}

/// What event files hold of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f32),
    /// A picture.
    Picture {
        /// Pixels.
        width: i64,
        /// Pixels.
        height: i64,
        /// The bytes of a PNG file.
        png: Vec<u8>,
    },
    /// A text.
    Text(String),
}

/// All events of a file, the one with its version first.
///
/// Errors: a file that cannot be read, a broken frame, a message of another form.
pub fn read_events(path: &Path) -> Result<Vec<Event>, ReportError> {
    let bytes = std::fs::read(path).map_err(|source| ReportError::file(path, source))?;
    let malformed = |message| ReportError::Malformed { path: path.to_owned(), message };
    let records = records(&bytes).map_err(malformed)?;
    let event = |(index, record): (usize, &&[u8])| {
        event(record).map_err(|what| malformed(format!("event {index}: {what}")))
    };
    let events: Vec<Event> = records.iter().enumerate().map(event).collect::<Result<_, _>>()?;
    match events.first().and_then(|first| first.file_version.as_deref()) {
        Some("brain.Event:2") => Ok(events),
        found => Err(malformed(format!("expected version brain.Event:2 first, found {found:?}"))),
    }
}

fn event(record: &[u8]) -> Result<Event, String> {
    let mut event = Event::default();
    for (number, field) in fields(record)? {
        match number {
            1 => event.wall_time = field.double()?,
            2 => event.step = field.integer()?,
            3 => event.file_version = Some(field.text()?),
            5 => event.values.extend(summary(field.bytes()?)?),
            other => return Err(format!("no such field of an event: {other}")),
        }
    }
    Ok(event)
}

fn summary(bytes: &[u8]) -> Result<Vec<TaggedValue>, String> {
    let value = |(number, field): (u32, Field<'_>)| match number {
        1 => tagged_value(field.bytes()?),
        other => Err(format!("no such field of a summary: {other}")),
    };
    fields(bytes)?.into_iter().map(value).collect()
}

fn tagged_value(bytes: &[u8]) -> Result<TaggedValue, String> {
    let (mut tag, mut value, mut plugin) = (None, None, None);
    for (number, field) in fields(bytes)? {
        match number {
            1 => tag = Some(field.text()?),
            2 => value = Some(Value::Scalar(field.float()?)),
            4 => value = Some(picture(field.bytes()?)?),
            8 => value = Some(Value::Text(string_tensor(field.bytes()?)?)),
            9 => plugin = Some(plugin_name(field.bytes()?)?),
            other => return Err(format!("no such field of a value: {other}")),
        }
    }
    let tag = tag.ok_or("a value without a tag")?;
    let value = value.ok_or_else(|| format!("{tag}: nothing in it"))?;
    match (&value, plugin.as_deref()) {
        (Value::Text(_), Some("text")) => {}
        (Value::Text(_), other) => {
            return Err(format!("{tag}: expected the text plugin, found {other:?}"));
        }
        _ => {}
    }
    Ok(TaggedValue { tag, value })
}

fn picture(bytes: &[u8]) -> Result<Value, String> {
    let (mut width, mut height, mut png) = (0, 0, Vec::new());
    for (number, field) in fields(bytes)? {
        match number {
            1 => height = field.integer()?,
            2 => width = field.integer()?,
            3 if field.integer()? == 3 => {}
            4 => png = field.bytes()?.to_vec(),
            other => return Err(format!("field {other} of a picture is wrong")),
        }
    }
    Ok(Value::Picture { width, height, png })
}

fn string_tensor(bytes: &[u8]) -> Result<String, String> {
    let (mut is_string, mut text) = (false, None);
    for (number, field) in fields(bytes)? {
        match number {
            1 => is_string = field.integer()? == 7,
            2 => {
                let size = only(fields(field.bytes()?)?, 2)?.bytes()?;
                if only(fields(size)?, 1)?.integer()? != 1 {
                    return Err("expected one text".to_owned());
                }
            }
            8 => text = Some(field.text()?),
            other => return Err(format!("no such field of a tensor: {other}")),
        }
    }
    text.filter(|_| is_string).ok_or_else(|| "expected a tensor of one text".to_owned())
}

fn plugin_name(metadata: &[u8]) -> Result<String, String> {
    let plugin = only(fields(metadata)?, 1)?.bytes()?;
    only(fields(plugin)?, 1)?.text()
}

/// The only field of a message, which must have this number.
fn only(fields: Vec<(u32, Field<'_>)>, number: u32) -> Result<Field<'_>, String> {
    match fields.as_slice() {
        [(found, field)] if *found == number => Ok(*field),
        other => Err(format!("expected field {number} alone, found {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::EventWriter;

    /// The smallest PNG header that a size can be read from.
    fn png() -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
        bytes
    }

    #[test]
    fn scalars_pictures_and_texts_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        writer.scalar("loss", f64::NAN, 1).unwrap();
        writer.scalar("coco/bbox_mAP", 0.5, 300).unwrap();
        writer.png("val_img", &png(), 7).unwrap();
        writer.text("config", "model = dict(type='größe')\n", 0).unwrap();
        writer.flush().unwrap();
        let events = read_events(writer.path()).unwrap();
        assert_eq!(events.len(), 5);
        assert!(matches!(events[1].values[0].value, Value::Scalar(loss) if loss.is_nan()));
        assert_eq!((events[2].step, events[2].values[0].tag.as_str()), (300, "coco/bbox_mAP"));
        let picture = Value::Picture { width: 4, height: 2, png: png() };
        assert_eq!(events[3].values[0].value, picture);
        assert_eq!(events[4].values[0].tag, "config/text_summary");
        let text = Value::Text("model = dict(type='größe')\n".into());
        assert_eq!(events[4].values[0].value, text);
        assert!(events.windows(2).all(|pair| pair[0].wall_time <= pair[1].wall_time));
    }

    #[test]
    fn what_is_no_picture_and_no_event_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        assert!(writer.png("val_img", b"\xff\xd8\xff", 0).is_err());
        let other = folder.path().join("other");
        std::fs::write(&other, "no events").unwrap();
        let text = read_events(&other).unwrap_err().to_string();
        assert!(text.contains("other: byte 0: "), "{text}");
    }
}
