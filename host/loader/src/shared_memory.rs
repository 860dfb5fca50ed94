//! Memory of this process that others read as a file, to the very last store before a crash. Knows nothing of what is in it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicU64;

/// Makes a file of so many words of eight bytes, all zero, whose content is memory of this process from now on. It stays
/// until the process ends; the file stays longer. Nobody may shorten the file meanwhile: a store would end the process.
///
/// Errors: a file that cannot be made, or no memory.
pub fn share_words(path: &Path, count: usize) -> io::Result<&'static [AtomicU64]> {
    let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
    let length = count.checked_mul(size_of::<AtomicU64>()).ok_or_else(too_large)?;
    // One that is there may be the memory of another process, which nobody may shorten: that one keeps its own.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    // Written, not only made longer: a full disk is an error here, and would be a fault at a store.
    file.write_all(&vec![0; length])?;
    // SAFETY: asks for new memory at any address, of the length that the file has.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the memory is ours for good, begins at a page, holds so many words, and is reached through atomics alone.
    Ok(unsafe { std::slice::from_raw_parts(address.cast::<AtomicU64>(), count) })
}

#[cfg(test)]
mod tests {
    use super::share_words;
    use std::sync::atomic::Ordering;

    #[test]
    fn stores_are_in_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        let words = share_words(&path, 512).unwrap();
        assert_eq!(words.len(), 512);
        words[511].store(u64::from_le_bytes(*b"the last"), Ordering::Release);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[4088..]), (4096, b"the last".as_slice()));
        assert!(share_words(&folder.path().join("none/words"), 1).is_err());
        // A second one of that name takes nothing away from the first.
        let second = share_words(&path, 1).unwrap();
        words[511].store(7, Ordering::Release);
        assert_eq!(
            (second[0].load(Ordering::Acquire), std::fs::read(&path).unwrap().len()),
            (0, 8)
        );
    }
}
