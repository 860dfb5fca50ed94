//! The few protobuf messages of a run. Knows nothing of files.
//!
//! Source: the numbers of `wandb/proto/wandb_internal.proto`.

use serde_json::{Value as Json, json};
use std::time::Duration;

/// A message that is being put together.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: i64) -> Message {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Message {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Message) -> Message {
        self.bytes(field, &message.0)
    }
}

/// What begins a run.
pub(crate) struct Run<'a> {
    pub(crate) id: &'a str,
    pub(crate) entity: Option<&'a str>,
    pub(crate) project: &'a str,
    pub(crate) name: &'a str,
    pub(crate) tags: &'a [String],
    pub(crate) config: &'a Json,
    /// Since 1970.
    pub(crate) began: Duration,
    pub(crate) is_resumed: bool,
}

/// One record of a file: which kind, and the message of it.
pub(crate) struct Record {
    field: u64,
    message: Message,
}

impl Record {
    pub(crate) fn header(producer: &str) -> Record {
        let version = Message::default().text(1, producer);
        Record { field: 21, message: Message::default().message(1, version) }
    }

    pub(crate) fn run(run: &Run<'_>) -> Record {
        let mut config = Message::default();
        for (key, value) in run.config.as_object().into_iter().flatten() {
            let item = Message::default().text(1, key).text(16, &value.to_string());
            config = config.message(1, item);
        }
        let mut message = Message::default().text(1, run.id);
        if let Some(entity) = run.entity {
            message = message.text(2, entity);
        }
        message = message.text(3, run.project).message(4, config).text(8, run.name);
        for tag in run.tags {
            message = message.text(10, tag);
        }
        let began = Message::default()
            .number(1, run.began.as_secs() as i64)
            .number(2, i64::from(run.began.subsec_nanos()));
        message = message.message(17, began);
        if run.is_resumed {
            message = message.number(18, 1);
        }
        Record { field: 17, message }
    }

    pub(crate) fn history(step: i64, values: &[(String, f64)]) -> Record {
        let mut message = Message::default();
        for (name, value) in values {
            message = message.message(1, item(name, *value));
        }
        Record { field: 2, message: message.message(2, Message::default().number(1, step)) }
    }

    pub(crate) fn summary(values: &[(String, f64)]) -> Record {
        let mut message = Message::default();
        for (name, value) in values {
            message = message.message(1, item(name, *value));
        }
        Record { field: 3, message }
    }

    pub(crate) fn exit(code: i64, seconds: i64) -> Record {
        Record { field: 18, message: Message::default().number(1, code).number(2, seconds) }
    }

    /// The record with its number, from 1, and the run that it belongs to.
    pub(crate) fn finish(self, number: i64, run: &str) -> Vec<u8> {
        let info = Message::default().text(1, run);
        Message::default().number(1, number).message(self.field, self.message).message(200, info).0
    }
}

/// A name is one part of a path, as `wandb` writes names with slashes.
fn item(name: &str, value: f64) -> Message {
    Message::default().text(2, name).text(16, &number(value))
}

/// Whole numbers without a point, and numbers that JSON does not know as the texts that `wandb` takes for them.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "\"NaN\"".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned();
    }
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return format!("{value:.0}");
    }
    json!(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_those_of_protobuf() {
        let message = Message::default().number(1, 300).text(200, "a").number(2, 0);
        assert_eq!(message.0, [0x08, 0xac, 0x02, 0xc2, 0x0c, 0x01, b'a', 0x10, 0x00]);
    }

    #[test]
    fn values_are_written_as_wandb_reads_them() {
        let written = [3.0, 0.25, f64::NAN, f64::NEG_INFINITY, 1e20].map(number);
        assert_eq!(written, ["3", "0.25", "\"NaN\"", "\"-Infinity\"", "1e+20"]);
    }
}
