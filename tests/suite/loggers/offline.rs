//! Reads the offline file of a Weights & Biases run: blocks, records, and the few messages that matter. Knows nothing of the
//! plugin that writes it.
//!
//! Source: `doc/log_format.md` of LevelDB, and the numbers of `wandb/proto/wandb_internal.proto`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BLOCK: usize = 32 << 10;
const FILE_HEAD: usize = 7;
const CHUNK_HEAD: usize = 7;

/// One run's file.
#[derive(Debug, Default)]
pub(super) struct Offline {
    /// Entity, project, name and tags go by their field numbers.
    pub(super) texts: BTreeMap<u64, Vec<String>>,
    /// Keys of the config, with their JSON.
    pub(super) config: BTreeMap<String, String>,
    /// Name and JSON of each value, for each row.
    pub(super) rows: Vec<BTreeMap<String, String>>,
    pub(super) exit_code: Option<u64>,
}

/// The offline files below a work folder, in the order in which their runs started.
pub(crate) fn files(work: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let runs = entries(work).into_iter().flat_map(|run| entries(&run.join("wandb")));
    let files = runs.flat_map(|run| entries(&run));
    files.filter(|path| path.extension().is_some_and(|end| end == "wandb")).collect()
}

impl Offline {
    pub(super) fn read(path: &Path) -> Offline {
        let mut offline = Offline::default();
        for record in records(&std::fs::read(path).unwrap()) {
            for (field, value) in fields(&record) {
                match (field, value) {
                    (17, Value::Bytes(run)) => offline.take_run(&run),
                    (2, Value::Bytes(row)) => offline.rows.push(pairs(&row, 1).collect()),
                    (18, Value::Bytes(exit)) => {
                        let code = fields(&exit).into_iter().find_map(|field| match field {
                            (1, Value::Number(code)) => Some(code),
                            _ => None,
                        });
                        offline.exit_code = code;
                    }
                    _ => {}
                }
            }
        }
        offline
    }

    fn take_run(&mut self, run: &[u8]) {
        for (field, value) in fields(run) {
            let Value::Bytes(bytes) = value else { continue };
            match field {
                4 => self.config.extend(pairs(&bytes, 1)),
                // Further messages are no texts.
                _ => self.texts.entry(field).or_default().extend(String::from_utf8(bytes)),
            }
        }
    }
}

fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(&bytes[..4], b":W&B");
    let (mut place, mut found, mut record) = (FILE_HEAD, Vec::new(), Vec::new());
    while place < bytes.len() {
        let left = BLOCK - place % BLOCK;
        if left < CHUNK_HEAD {
            place += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[place + 4], bytes[place + 5]]));
        let kind = bytes[place + 6];
        place += CHUNK_HEAD;
        record.extend(&bytes[place..place + length]);
        place += length;
        // A whole record, or the last part of one.
        if kind == 1 || kind == 4 {
            found.push(std::mem::take(&mut record));
        }
    }
    found
}

enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Number and value of each field of a message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(number(&mut bytes)),
            2 => {
                let length = number(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            other => panic!("a field of type {other}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Key and JSON of each item in a field: keys of a config stand in their field 1, those of a row in their field 2.
fn pairs(message: &[u8], field: u64) -> impl Iterator<Item = (String, String)> {
    let items = fields(message).into_iter().filter(move |(found, _)| *found == field);
    items.filter_map(|(_, item)| {
        let Value::Bytes(item) = item else { return None };
        let mut texts = fields(&item).into_iter().map(|(field, value)| match value {
            Value::Bytes(text) => (field, String::from_utf8(text).unwrap()),
            Value::Number(_) => (field, String::new()),
        });
        let key = texts.find(|(field, _)| *field == 1 || *field == 2)?.1;
        Some((key, texts.find(|(field, _)| *field == 16)?.1))
    })
}
