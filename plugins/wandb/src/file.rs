//! Records in blocks, as LevelDB's log has them, with the head and the checksum of `wandb`. Knows nothing of what is in a
//! record.
//!
//! Source: `doc/log_format.md` of LevelDB; `wandb` 0.31 puts `:W&B`, the number 0xBEE1 and a version before the first block,
//! and takes zlib's CRC-32 of type and data.

use crate::message::Record;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

const HEAD: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];
const BLOCK: usize = 32 << 10;
const CHUNK_HEAD: usize = 7;

/// A file of one run, to which records are appended.
pub(crate) struct RunFile {
    file: BufWriter<File>,
    id: String,
    records: i64,
    /// Place in the block.
    place: usize,
    end: Option<End>,
}

/// What the file was like before its last record.
#[derive(Clone, Copy)]
struct End {
    length: u64,
    place: usize,
    records: i64,
}

/// Where a chunk stands in its record.
#[derive(Clone, Copy)]
enum Kind {
    Full = 1,
    First = 2,
    Middle = 3,
    Last = 4,
}

impl RunFile {
    pub(crate) fn create(folder: &Path, id: &str) -> io::Result<RunFile> {
        fs::create_dir_all(folder.join("files"))?;
        let mut file = BufWriter::new(File::create(folder.join(format!("run-{id}.wandb")))?);
        file.write_all(&HEAD)?;
        Ok(RunFile { file, id: id.to_owned(), records: 0, place: HEAD.len(), end: None })
    }

    /// Appends a record, and flushes: what a killed run wrote is there.
    pub(crate) fn write(&mut self, record: Record) -> io::Result<()> {
        self.records += 1;
        let bytes = record.finish(self.records, &self.id);
        let mut rest = bytes.as_slice();
        let mut is_first = true;
        loop {
            let left = BLOCK - self.place;
            if left < CHUNK_HEAD {
                self.file.write_all(&[0; CHUNK_HEAD][..left])?;
                self.place = 0;
                continue;
            }
            let length = rest.len().min(left - CHUNK_HEAD);
            let (data, after) = rest.split_at(length);
            let kind = match (is_first, after.is_empty()) {
                (true, true) => Kind::Full,
                (true, false) => Kind::First,
                (false, false) => Kind::Middle,
                (false, true) => Kind::Last,
            };
            self.chunk(kind, data)?;
            if after.is_empty() {
                return self.file.flush();
            }
            (rest, is_first) = (after, false);
        }
    }

    fn chunk(&mut self, kind: Kind, data: &[u8]) -> io::Result<()> {
        self.file.write_all(&checksum(kind as u8, data).to_le_bytes())?;
        self.file.write_all(&(data.len() as u16).to_le_bytes())?;
        self.file.write_all(&[kind as u8])?;
        self.file.write_all(data)?;
        self.place = (self.place + CHUNK_HEAD + data.len()) % BLOCK;
        Ok(())
    }

    /// Appends the record that ends the run; another one takes its place.
    pub(crate) fn write_end(&mut self, record: Record) -> io::Result<()> {
        let length = self.file.stream_position()?;
        let here = End { length, place: self.place, records: self.records };
        let before = *self.end.get_or_insert(here);
        self.file.seek(SeekFrom::Start(before.length))?;
        self.file.get_ref().set_len(before.length)?;
        (self.place, self.records) = (before.place, before.records);
        self.write(record)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(data);
    hasher.finalize()
}

/// The records of a file.
#[cfg(test)]
pub(crate) fn read(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes[..7], HEAD);
    let (mut place, mut records, mut record) = (7, Vec::new(), Vec::new());
    while place < bytes.len() {
        let left = BLOCK - place % BLOCK;
        if left < CHUNK_HEAD {
            place += left;
            continue;
        }
        let head = &bytes[place..place + CHUNK_HEAD];
        let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let data = &bytes[place + CHUNK_HEAD..place + CHUNK_HEAD + length];
        assert_eq!(u32::from_le_bytes(head[..4].try_into().unwrap()), checksum(head[6], data));
        record.extend(data);
        if head[6] == Kind::Full as u8 || head[6] == Kind::Last as u8 {
            records.push(std::mem::take(&mut record));
        }
        place += CHUNK_HEAD + length;
    }
    records
}
