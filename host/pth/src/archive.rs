//! The two containers of PyTorch files: a zip archive, and the stream of PyTorch before 1.6. Knows nothing of models.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use crate::PthError;
use crate::error::Fault;
use crate::machine::{Built, Item, Node, Storage, run};

/// A pickle of more bytes than this is no description of weights.
const LARGEST_PICKLE: u64 = 1 << 28;
/// The first pickle of a stream: its magic number.
const STREAM: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";

/// A file with its pickle run, and its numbers by their keys.
pub(crate) struct Archive {
    pub(crate) built: Built,
    storages: Storages,
}

enum Storages {
    Zip { archive: Box<ZipArchive<File>>, prefix: String },
    Stream(HashMap<String, Vec<u8>>),
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Archive, PthError> {
        let failed = |source| PthError::File { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let mut start = Vec::new();
        file.by_ref().take(STREAM.len() as u64).read_to_end(&mut start).map_err(failed)?;
        if start == STREAM {
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).map_err(failed)?;
            return stream(&rest).map_err(|fault| fault.at(path));
        }
        if start.is_empty() {
            return Err(Fault::new("an empty file").at(path));
        }
        let file = File::open(path).map_err(failed)?;
        from_zip(file).map_err(|fault| fault.at(path))
    }

    /// The bytes of a storage.
    pub(crate) fn bytes(&mut self, storage: &Storage) -> Result<Vec<u8>, Fault> {
        match &mut self.storages {
            Storages::Zip { archive, prefix } => {
                entry(archive, &format!("{prefix}data/{}", storage.key), u64::MAX)
            }
            Storages::Stream(storages) => storages
                .get(&storage.key)
                .cloned()
                .ok_or_else(|| Fault::new(format!("no numbers of storage {}", storage.key))),
        }
    }
}

fn from_zip(file: File) -> Result<Archive, Fault> {
    let mut archive = ZipArchive::new(file).map_err(|error| {
        Fault::new(format!("something else, or a file that is cut off ({error})"))
    })?;
    let names = archive.file_names().filter_map(|name| name.ok().map(|name| name.into_owned()));
    let pickle = names.filter(|name| name.ends_with("/data.pkl")).min();
    let pickle = pickle.ok_or_else(|| Fault::new("a zip archive without data.pkl"))?;
    let prefix = pickle.trim_end_matches("data.pkl").to_owned();
    if archive.index_for_name(&format!("{prefix}byteorder")).is_some()
        && entry(&mut archive, &format!("{prefix}byteorder"), 64)? != b"little"
    {
        return Err(Fault::new("numbers of a big-endian machine"));
    }
    let built = run(&entry(&mut archive, &pickle, LARGEST_PICKLE)?)?;
    Ok(Archive { built, storages: Storages::Zip { archive: Box::new(archive), prefix } })
}

/// An entry's bytes; PyTorch does not compress, so that none is larger than the file.
fn entry(archive: &mut ZipArchive<File>, name: &str, most: u64) -> Result<Vec<u8>, Fault> {
    let malformed = |what: &dyn std::fmt::Display| Fault::new(format!("{name}: {what}"));
    let mut entry = archive.by_name(name).map_err(|error| malformed(&error))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(malformed(&"compressed, which PyTorch's are not"));
    }
    if entry.size() > most {
        return Err(malformed(&"too large"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| malformed(&error))?;
    Ok(bytes)
}

/// Source: PyTorch 2.11 `torch/serialization.py`, `_legacy_load`: pickles of the version, the machine, the data and the keys
/// of its storages, then each storage's count of numbers and the numbers.
fn stream(bytes: &[u8]) -> Result<Archive, Fault> {
    let mut at = 0;
    let mut next = || -> Result<Built, Fault> {
        let built = run(&bytes[at..])?;
        at += built.length;
        Ok(built)
    };
    let (_version, _machine, built, keys) = (next()?, next()?, next()?, next()?);
    let sizes: HashMap<&str, usize> = built
        .nodes
        .iter()
        .filter_map(|node| match node {
            Node::Storage(storage) => Some((storage.key.as_str(), storage.dtype.size())),
            _ => None,
        })
        .collect();
    let malformed = || Fault::new("a file that is cut off");
    let mut storages = HashMap::new();
    let Item::Node(list) = keys.root else { return Err(malformed()) };
    let Node::List(list) = &keys.nodes[list] else { return Err(malformed()) };
    for key in list {
        let Item::Text(key) = key else { return Err(malformed()) };
        let count = bytes.get(at..at + 8).ok_or_else(malformed)?;
        let count = u64::from_le_bytes(count.try_into().map_err(|_| malformed())?);
        let size = sizes.get(&**key).copied().unwrap_or(1) as u64;
        let length = count.checked_mul(size).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| (at + 8).checked_add(length)).ok_or_else(malformed)?;
        storages.insert(key.to_string(), bytes.get(at + 8..end).ok_or_else(malformed)?.to_vec());
        at = end;
    }
    Ok(Archive { built, storages: Storages::Stream(storages) })
}
