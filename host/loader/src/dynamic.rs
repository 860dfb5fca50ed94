//! The dynamic section of a `.so`: which libraries it needs, and which glibc. Read from the file, within bounds, nothing
//! is run. Knows nothing of manifests.

use crate::elf::{ElfError, Reader, u16_at, u32_at, u64_at};

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_VERNEED: u64 = 0x6fff_fffe;
const VER_FLG_WEAK: u16 = 2;
const ENTRY_LENGTH: usize = 16;
const MAX_LENGTH: u64 = 1 << 16;
const MAX_NEEDED: usize = 256;
const MAX_NAME: usize = 256;

/// What a file needs of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// Names of libraries, as `libc.so.6`.
    pub(crate) needed: Vec<String>,
    /// The newest glibc that a symbol asks for.
    pub(crate) glibc: Option<(u32, u32)>,
}

/// The loaded segments: address, length in the file, offset in the file.
pub(crate) struct Segments(pub(crate) Vec<(u64, u64, u64)>);

impl Segments {
    /// Where in the file an address lies.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let within = |&(start, length, offset): &(u64, u64, u64)| {
            let distance = address.checked_sub(start)?;
            (distance < length).then(|| offset.checked_add(distance))?
        };
        self.0.iter().find_map(within)
    }
}

pub(crate) fn read(
    reader: &Reader,
    segments: &Segments,
    offset: u64,
    length: u64,
) -> Result<Dynamic, ElfError> {
    if length > MAX_LENGTH {
        return Err(ElfError::Malformed("a dynamic section of more than 64 KiB"));
    }
    let section = reader.bytes(offset, length as usize)?;
    let entries: Vec<(u64, u64)> = section
        .chunks_exact(ENTRY_LENGTH)
        .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let place = |tag| {
        let found = entries.iter().find(|(known, _)| *known == tag);
        found.map(|(_, address)| {
            segments
                .offset_of(*address)
                .ok_or(ElfError::Malformed("a table outside of its segments"))
        })
    };
    let Some(names) = place(DT_STRTAB).transpose()? else { return Ok(Dynamic::default()) };
    let names = Names { reader, offset: names };
    let needed = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).take(MAX_NEEDED);
    let needed = needed.map(|(_, name)| names.at(*name)).collect::<Result<Vec<_>, _>>()?;
    let glibc = match place(DT_VERNEED).transpose()? {
        Some(offset) => newest_glibc(reader, &names, offset)?,
        None => None,
    };
    Ok(Dynamic { needed, glibc })
}

struct Names<'a> {
    reader: &'a Reader,
    offset: u64,
}

impl Names<'_> {
    fn at(&self, index: u64) -> Result<String, ElfError> {
        let offset = self.offset.checked_add(index);
        let offset = offset.ok_or(ElfError::Malformed("a name beyond all files"))?;
        let bytes = self.reader.at_most(offset, MAX_NAME)?;
        let length = bytes.iter().position(|byte| *byte == 0);
        let length = length.ok_or(ElfError::Malformed("a name without an end"))?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        Ok(text.replace(char::is_control, " "))
    }
}

/// The newest `GLIBC_2.x` of the version needs: a list of libraries, each with a list of versions.
fn newest_glibc(
    reader: &Reader,
    names: &Names<'_>,
    mut offset: u64,
) -> Result<Option<(u32, u32)>, ElfError> {
    const LOOP: ElfError = ElfError::Malformed("version needs that do not end");
    let (mut newest, mut steps) = (None, 0);
    loop {
        let library = reader.bytes(offset, ENTRY_LENGTH)?;
        let mut version = offset.checked_add(u64::from(u32_at(&library, 8))).ok_or(LOOP)?;
        for index in 0..u16_at(&library, 2) {
            let entry = reader.bytes(version, ENTRY_LENGTH)?;
            // A weak need does not keep the dynamic loader from going on.
            if u16_at(&entry, 4) & VER_FLG_WEAK == 0 {
                newest = newest.max(glibc_version(&names.at(u64::from(u32_at(&entry, 8)))?));
            }
            let next = u64::from(u32_at(&entry, 12));
            steps += 1;
            if next == 0 || steps > 4 * MAX_NEEDED || index == u16::MAX {
                break;
            }
            version = version.checked_add(next).ok_or(LOOP)?;
        }
        let next = u64::from(u32_at(&library, 12));
        steps += 1;
        if next == 0 {
            return Ok(newest);
        }
        if steps > 4 * MAX_NEEDED {
            return Err(LOOP);
        }
        offset = offset.checked_add(next).ok_or(LOOP)?;
    }
}

/// Reads `GLIBC_2.38` or `2.38`.
pub(crate) fn glibc_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("GLIBC_").unwrap_or(text).split('.');
    let mut number = || numbers.next().and_then(|part| part.parse::<u32>().ok());
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::{Segments, glibc_version};

    #[test]
    fn addresses_are_found_in_their_segment() {
        let segments = Segments(vec![(0, 0x100, 0), (0x1000, 0x80, 0x200)]);
        assert_eq!(segments.offset_of(0x1010), Some(0x210));
        assert_eq!(segments.offset_of(0x1080), None);
        assert_eq!(Segments(vec![(0, u64::MAX, 2)]).offset_of(u64::MAX - 1), None);
    }

    #[test]
    fn versions_of_glibc_are_read_and_others_are_not() {
        assert_eq!(glibc_version("GLIBC_2.38"), Some((2, 38)));
        assert_eq!(glibc_version("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc_version("GCC_3.0"), None);
        assert_eq!(glibc_version("GLIBC_PRIVATE"), None);
    }
}
