//! The few parts of protocol buffers that event files need: fields are written one after another, and read back.
//! Knows nothing of what the fields mean.
//!
//! Source: protobuf.dev "Encoding"; field numbers are in `writer` and `reader`.

/// A message that grows by fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn number(mut self, field: u32, value: i64) -> Message {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }

    pub(super) fn float(mut self, field: u32, value: f32) -> Message {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn double(mut self, field: u32, value: f64) -> Message {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field as it lies in the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            other => Err(format!("expected bytes, found {other:?}")),
        }
    }

    pub(super) fn text(self) -> Result<String, String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| "expected UTF-8".to_owned())
    }

    pub(super) fn integer(self) -> Result<i64, String> {
        match self {
            Field::Varint(value) => Ok(value as i64),
            other => Err(format!("expected an integer, found {other:?}")),
        }
    }

    pub(super) fn float(self) -> Result<f32, String> {
        match self {
            Field::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            other => Err(format!("expected a float, found {other:?}")),
        }
    }

    pub(super) fn double(self) -> Result<f64, String> {
        match self {
            Field::Fixed64(bytes) => Ok(f64::from_le_bytes(bytes)),
            other => Err(format!("expected a double, found {other:?}")),
        }
    }
}

/// The fields of a message with their numbers, in the order in which they lie there.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| format!("no field number: {key}"))?;
        let field = match key & 7 {
            0 => Field::Varint(take_varint(&mut bytes)?),
            1 => Field::Fixed64(take_array(&mut bytes)?),
            2 => {
                let length = take_varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, length)?)
            }
            5 => Field::Fixed32(take_array(&mut bytes)?),
            other => return Err(format!("field {number}: no such wire type: {other}")),
        };
        found.push((number, field));
    }
    Ok(found)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (taken, rest) = split.ok_or_else(|| {
        format!("expected {length} bytes, found the end of the message after {}", bytes.len())
    })?;
    *bytes = rest;
    Ok(taken)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let taken = take(bytes, N as u64)?;
    taken.try_into().map_err(|_| "the end of the message".to_owned())
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for place in 0..10 {
        let [byte] = take_array(bytes)?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("expected an integer of at most ten bytes, found more".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_written() {
        let inner = Message::default().float(2, 0.5);
        let message = Message::default()
            .double(1, 1.5)
            .number(2, -1)
            .number(3, 300)
            .text(4, "größe")
            .message(5, &inner);
        // 300 is the encoding's own example.
        assert!(message.as_bytes().windows(3).any(|part| part == [0x18, 0xac, 0x02]));
        let found = fields(message.as_bytes()).unwrap();
        assert_eq!(found[0].1.double(), Ok(1.5));
        assert_eq!(found[1].1.integer(), Ok(-1));
        assert_eq!(found[2].1.integer(), Ok(300));
        assert_eq!(found[3].1.text(), Ok("größe".to_owned()));
        assert_eq!(fields(found[4].1.bytes().unwrap()).unwrap()[0].1.float(), Ok(0.5));
    }

    #[test]
    fn a_message_that_is_cut_is_refused() {
        let message = Message::default().number(1, 300).double(2, 1.0).text(3, "four");
        let boundaries = [0, 3, 12, message.as_bytes().len()];
        for length in 0..=message.as_bytes().len() {
            let is_whole = boundaries.contains(&length);
            assert_eq!(fields(&message.as_bytes()[..length]).is_ok(), is_whole, "{length}");
        }
    }
}
