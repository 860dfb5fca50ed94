//! What a `.so` says of itself, by a bounded reader that trusts no number in the file: the manifest's bytes, the
//! build id, the libraries and the glibc that it needs. Runs nothing. Knows nothing of what a manifest says.

use crate::dynamic::{self, Dynamic};
use crate::identity::{FileIdentity, open_file};
use snaphook_plugin_api::manifest::{MAX_LENGTH, NOTE_TYPE};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why a file has no manifest to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("cannot be read: {0} (look at its owner and its mode)")]
    Unreadable(#[source] io::Error),
    #[error("expected a regular file, found something else (remove it from this folder)")]
    NotAFile,
    #[error("expected a shared object, found an empty file (build or copy it again)")]
    Empty,
    #[error("expected a shared object, found another kind of file (remove it from this folder)")]
    NotElf,
    #[error("expected a 64-bit little-endian object, found another class (rebuild it for {HOST})")]
    WrongClass,
    #[error("expected code for {HOST}, found machine {0} (rebuild it for {HOST})")]
    WrongMachine(u16),
    #[error("expected a shared object, found another ELF type (crate-type must be cdylib)")]
    NotShared,
    #[error("expected {expected} bytes, found {found}: it is cut off (build or copy it again)")]
    CutOff { expected: u64, found: u64 },
    #[error("expected a sound ELF file, found {0} (build or copy it again)")]
    Malformed(&'static str),
    #[error(
        "has no manifest: it is no plugin, or its linker dropped it (use export_plugin!, and \
             another linker)"
    )]
    NoManifest,
}

const HOST: &str = std::env::consts::ARCH;
const HEADER_LENGTH: usize = 64;
const PROGRAM_HEADER_LENGTH: usize = 56;
const MAX_FILE: u64 = 4 << 30;
const MAX_PROGRAM_HEADERS: usize = 4096;
const MAX_NOTES_LENGTH: u64 = 1 << 20;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const NT_GNU_BUILD_ID: u32 = 3;
const MAX_BUILD_ID: usize = 64;
/// No plugin asks for more memory than this for its code and its statics.
const MAX_MEMORY: u64 = 1 << 36;
const ET_DYN: u16 = 3;
const OWNER: &[u8] = b"Snaphook\0";

/// What was read from a file.
#[derive(Clone, Debug)]
pub(crate) struct ElfFacts {
    pub(crate) manifest: Vec<u8>,
    pub(crate) build_id: Option<String>,
    pub(crate) dynamic: Dynamic,
}

/// What the file says, and which file it was.
pub(crate) fn read_facts(path: &Path) -> Result<(ElfFacts, FileIdentity), ElfError> {
    let file = open_file(path).map_err(ElfError::Unreadable)?;
    let metadata = file.metadata().map_err(ElfError::Unreadable)?;
    if !metadata.is_file() {
        return Err(ElfError::NotAFile);
    }
    // What is loaded is hashed first, and that should end some day.
    if metadata.len() > MAX_FILE {
        return Err(ElfError::Malformed("a file of more than 4 GiB"));
    }
    let reader = Reader { file, size: metadata.len() };
    Ok((facts(&reader)?, FileIdentity::of(&metadata)))
}

/// Reads parts of a file, none beyond its end.
pub(crate) struct Reader {
    file: File,
    size: u64,
}

impl Reader {
    pub(crate) fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, ElfError> {
        self.contains(offset, length as u64)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(ElfError::Unreadable)?;
        Ok(bytes)
    }

    /// As [`Reader::bytes`], fewer where the file ends.
    pub(crate) fn at_most(&self, offset: u64, length: usize) -> Result<Vec<u8>, ElfError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.bytes(offset, length.min(left))
    }

    fn contains(&self, offset: u64, length: u64) -> Result<(), ElfError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            Some(expected) => Err(ElfError::CutOff { expected, found: self.size }),
            None => Err(ElfError::Malformed("an offset beyond all files")),
        }
    }
}

fn facts(reader: &Reader) -> Result<ElfFacts, ElfError> {
    let headers = program_headers(reader)?;
    check_segments(reader, &headers)?;
    let (mut manifest, mut build_id) = (None, None);
    for header in headers.iter().filter(|header| header.kind == PT_NOTE) {
        if header.length > MAX_NOTES_LENGTH {
            return Err(ElfError::Malformed("notes of more than 1 MiB"));
        }
        let notes = reader.bytes(header.offset, header.length as usize)?;
        for note in all_notes(&notes, if header.align == 8 { 8 } else { 4 }) {
            if note.is_ours() && manifest.replace(note.description.to_vec()).is_some() {
                return Err(ElfError::Malformed("two manifests"));
            }
            build_id = build_id.or_else(|| note.build_id());
        }
    }
    let manifest = manifest.ok_or(ElfError::NoManifest)?;
    if manifest.len() > MAX_LENGTH {
        return Err(ElfError::Malformed("a manifest of more than 64 KiB"));
    }
    Ok(ElfFacts { manifest, build_id, dynamic: dynamic(reader, &headers)? })
}

/// What the dynamic loader does not check, and dies of.
fn check_segments(reader: &Reader, headers: &[ProgramHeader]) -> Result<(), ElfError> {
    for header in headers.iter().filter(|header| header.kind == PT_LOAD) {
        reader.contains(header.offset, header.length)?;
        let end = header.address.checked_add(header.memory);
        if header.length > header.memory || end.is_none_or(|end| end > MAX_MEMORY) {
            return Err(ElfError::Malformed("a segment that does not fit in memory"));
        }
    }
    Ok(())
}

fn dynamic(reader: &Reader, headers: &[ProgramHeader]) -> Result<Dynamic, ElfError> {
    let Some(header) = headers.iter().find(|header| header.kind == PT_DYNAMIC) else {
        return Ok(Dynamic::default());
    };
    let loaded: Vec<_> = headers
        .iter()
        .filter(|header| header.kind == PT_LOAD)
        .map(|header| (header.address, header.length, header.offset))
        .collect();
    let segments = dynamic::Segments(loaded);
    if segments.offset_of(header.address) != Some(header.offset) {
        return Err(ElfError::Malformed("a dynamic section outside of the loaded segments"));
    }
    dynamic::read(reader, &segments, header.offset, header.length)
}

struct ProgramHeader {
    kind: u32,
    offset: u64,
    address: u64,
    length: u64,
    memory: u64,
    align: u64,
}

fn program_headers(reader: &Reader) -> Result<Vec<ProgramHeader>, ElfError> {
    if reader.size == 0 {
        return Err(ElfError::Empty);
    }
    let magic = reader.bytes(0, 4.min(reader.size as usize))?;
    if magic != b"\x7fELF" {
        return Err(ElfError::NotElf);
    }
    let header = reader.bytes(0, HEADER_LENGTH)?;
    if (header[4], header[5]) != (2, 1) {
        return Err(ElfError::WrongClass);
    }
    let (kind, machine) = (u16_at(&header, 16), u16_at(&header, 18));
    if kind != ET_DYN {
        return Err(ElfError::NotShared);
    }
    if !is_our_machine(machine) {
        return Err(ElfError::WrongMachine(machine));
    }
    let (entry_length, count) = (u16_at(&header, 54) as usize, u16_at(&header, 56) as usize);
    if entry_length != PROGRAM_HEADER_LENGTH {
        return Err(ElfError::Malformed("program headers of a strange length"));
    }
    if count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(ElfError::Malformed("no program headers, or too many"));
    }
    // The section table lies at the end of the file; nobody needs it, but a half-made copy lacks it.
    let sections = u64::from(u16_at(&header, 58)) * u64::from(u16_at(&header, 60));
    reader.contains(u64_at(&header, 40), sections)?;
    let table = reader.bytes(u64_at(&header, 32), entry_length * count)?;
    let read = |entry: &[u8]| ProgramHeader {
        kind: u32_at(entry, 0),
        offset: u64_at(entry, 8),
        address: u64_at(entry, 16),
        length: u64_at(entry, 32),
        memory: u64_at(entry, 40),
        align: u64_at(entry, 48),
    };
    Ok(table.chunks_exact(PROGRAM_HEADER_LENGTH).map(read).collect())
}

fn is_our_machine(machine: u16) -> bool {
    match HOST {
        "x86_64" => machine == 62,
        "aarch64" => machine == 183,
        _ => true,
    }
}

/// The notes up to the first one that does not fit.
fn all_notes(mut notes: &[u8], align: usize) -> Vec<Note<'_>> {
    let mut found = Vec::new();
    while let Some((note, rest)) = split_note(notes, align) {
        found.push(note);
        notes = rest;
    }
    found
}

struct Note<'a> {
    owner: &'a [u8],
    kind: u32,
    description: &'a [u8],
}

impl Note<'_> {
    fn is_ours(&self) -> bool {
        self.owner == OWNER && self.kind == NOTE_TYPE
    }

    fn build_id(&self) -> Option<String> {
        let is_id = self.owner == b"GNU\0" && self.kind == NT_GNU_BUILD_ID;
        let is_short = self.description.len() <= MAX_BUILD_ID;
        (is_id && is_short).then(|| hexadecimal(self.description))
    }
}

/// Bytes as people write hashes.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn split_note(notes: &[u8], align: usize) -> Option<(Note<'_>, &[u8])> {
    let header = notes.get(..12)?;
    let (owner_length, length) = (u32_at(header, 0) as usize, u32_at(header, 4) as usize);
    let owner = notes.get(12..12usize.checked_add(owner_length)?)?;
    let start = 12usize.checked_add(owner_length)?.checked_next_multiple_of(align)?;
    let end = start.checked_add(length)?;
    let description = notes.get(start..end)?;
    // The last note may lack its padding.
    let rest = notes.get(end.checked_next_multiple_of(align)?..).unwrap_or_default();
    Some((Note { owner, kind: u32_at(header, 8), description }, rest))
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(slice) = bytes.get(offset..offset + N) {
        array.copy_from_slice(slice);
    }
    array
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

/// Small shared objects for tests: headers and a note, nothing that could run.
#[cfg(test)]
pub(crate) mod fixtures {
    use super::{HEADER_LENGTH, NOTE_TYPE, OWNER, PROGRAM_HEADER_LENGTH};

    /// A shared object whose only content is a note with `manifest`.
    pub(crate) fn shared_object(manifest: &[u8]) -> Vec<u8> {
        let notes_offset = HEADER_LENGTH + 2 * PROGRAM_HEADER_LENGTH;
        let mut note = Vec::new();
        note.extend((OWNER.len() as u32).to_le_bytes());
        note.extend((manifest.len() as u32).to_le_bytes());
        note.extend(NOTE_TYPE.to_le_bytes());
        note.extend(OWNER);
        note.extend([0; 3]);
        note.extend(manifest);
        note.resize(note.len().next_multiple_of(4), 0);
        let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
        let mut file = vec![0; notes_offset];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16..18].copy_from_slice(&3u16.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&(HEADER_LENGTH as u64).to_le_bytes());
        file[54..56].copy_from_slice(&(PROGRAM_HEADER_LENGTH as u16).to_le_bytes());
        file[56..58].copy_from_slice(&2u16.to_le_bytes());
        let size = (notes_offset + note.len()) as u64;
        for (index, kind, offset, length) in
            [(0, 1u32, 0, size), (1, 4, notes_offset as u64, note.len() as u64)]
        {
            let at = HEADER_LENGTH + index * PROGRAM_HEADER_LENGTH;
            file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
            file[at + 32..at + 40].copy_from_slice(&length.to_le_bytes());
            file[at + 40..at + 48].copy_from_slice(&length.to_le_bytes());
            file[at + 48..at + 56].copy_from_slice(&4u64.to_le_bytes());
        }
        file.extend(note);
        file
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::shared_object;
    use super::{ElfError, read_facts};
    use std::path::PathBuf;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn read(&self, bytes: &[u8]) -> Result<Vec<u8>, ElfError> {
            let path = self.path("libx.so");
            std::fs::write(&path, bytes).unwrap();
            read_facts(&path).map(|(facts, _)| facts.manifest)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    #[test]
    fn note_is_found() {
        assert_eq!(Folder::new().read(&shared_object(b"{\"a\":1}")).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn file_cut_off_anywhere_is_refused() {
        let (folder, whole) = (Folder::new(), shared_object(b"{\"manifest_version\":1}"));
        for length in 0..whole.len() {
            assert!(folder.read(&whole[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn changed_bytes_never_panic() {
        let (folder, whole) = (Folder::new(), shared_object(b"{}"));
        for index in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[index] = value;
                let _ = folder.read(&changed);
            }
        }
    }

    #[test]
    fn other_kinds_of_files_are_refused_with_their_reason() {
        let folder = Folder::new();
        assert!(matches!(folder.read(b""), Err(ElfError::Empty)));
        assert!(matches!(folder.read(b"#!/bin/sh\n"), Err(ElfError::NotElf)));
        assert!(matches!(folder.read(b"\x7fE"), Err(ElfError::NotElf)));
        let mut changed = shared_object(b"{}");
        changed[4] = 1;
        assert!(matches!(folder.read(&changed), Err(ElfError::WrongClass)));
        let mut changed = shared_object(b"{}");
        changed[18] = 40;
        assert!(matches!(folder.read(&changed), Err(ElfError::WrongMachine(40))));
        let mut changed = shared_object(b"{}");
        changed[16] = 2;
        assert!(matches!(folder.read(&changed), Err(ElfError::NotShared)));
        assert!(matches!(read_facts(folder.0.path()), Err(ElfError::NotAFile)));
        assert!(matches!(read_facts(&folder.path("none.so")), Err(ElfError::Unreadable(_))));
    }

    #[test]
    fn named_pipe_is_refused_without_waiting() {
        let folder = Folder::new();
        let path = folder.path("libpipe.so");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if made.is_ok_and(|status| status.success()) {
            assert!(matches!(read_facts(&path), Err(ElfError::NotAFile)));
        }
    }
}
