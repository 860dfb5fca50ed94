//! The log of one rank, and what can be read back from it. Knows nothing of terminals.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::say;
use crate::LaunchError;

/// Both streams of a rank in the order of their lines.
pub(crate) struct RankLog {
    pub(crate) path: PathBuf,
    file: File,
    /// Held while it is written.
    length: Mutex<u64>,
    last_output: Mutex<Instant>,
    is_broken: AtomicBool,
}

impl RankLog {
    pub(crate) fn create(path: PathBuf) -> Result<RankLog, LaunchError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = match file {
            Ok(file) => file,
            Err(source) => return Err(LaunchError::File { path, source }),
        };
        let (length, last_output) = (Mutex::new(0), Mutex::new(Instant::now()));
        Ok(RankLog { path, file, length, last_output, is_broken: AtomicBool::new(false) })
    }

    /// When the rank said something last.
    pub(crate) fn last_output(&self) -> Instant {
        *self.last_output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it stands in the log; nothing where it could not be written.
    pub(super) fn write(&self, lines: &[u8]) -> Option<Range<u64>> {
        *self.last_output.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        match self.file.write_all_at(lines, *length) {
            Ok(()) => {
                let start = *length;
                *length += lines.len() as u64;
                Some(start..*length)
            }
            Err(error) => {
                // Of lines that did not fit nothing stays.
                let _ = self.file.set_len(*length);
                if !self.is_broken.swap(true, Ordering::Relaxed) {
                    let path = self.path.display();
                    say(&format!("{path}: cannot be written, the ranks go on without it: {error}"));
                }
                None
            }
        }
    }

    /// What stands there, or less where somebody cut the file.
    pub(super) fn read(&self, stretch: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; (stretch.end - stretch.start) as usize];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, stretch.start + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        bytes.truncate(read);
        bytes
    }
}

/// The last lines of a file as a terminal shows them, of a progress bar its last state, without control characters and not
/// too long; nothing where it cannot be read.
pub(crate) fn last_lines(path: &Path, count: usize) -> Vec<String> {
    const MOST_BYTES: u64 = 32 * 1024;
    const MOST_LETTERS: usize = 400;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let plain = |letter: char| if letter.is_control() && letter != '\t' { ' ' } else { letter };
    let lines: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim_end_matches('\r').rsplit('\r').next())
        .map(|line| line.chars().map(plain).take(MOST_LETTERS).collect::<String>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_s_end_is_shown_without_what_terminals_obey() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rank_0.log");
        std::fs::write(&path, format!("{}\nb\n\n\x1b[31mred\u{7}\nd", "a".repeat(100_000)))
            .unwrap();
        assert_eq!(last_lines(&path, 3), ["b", " [31mred ", "d"]);
        assert_eq!(last_lines(&path, 9).len(), 4);
        assert!(last_lines(&folder.path().join("none"), 3).is_empty());
        std::fs::write(&path, "10%\r20%\r\r\nerror: a\r\n\r30%\rerror: b").unwrap();
        assert_eq!(last_lines(&path, 9), ["20%", "error: a", "error: b"]);
    }

    #[test]
    fn what_was_written_is_read_back_and_what_was_not_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let log = RankLog::create(folder.path().join("rank_0.log")).unwrap();
        assert_eq!(log.write(b"one\n"), Some(0..4));
        assert_eq!(log.write(b"two\n"), Some(4..8));
        assert_eq!(log.read(2..7), b"e\ntwo".to_vec());
        std::fs::File::options().write(true).open(&log.path).unwrap().set_len(5).unwrap();
        assert_eq!(log.read(4..8), b"t".to_vec());

        let path = folder.path().join("full.log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let full = RankLog::create(path).unwrap();
        assert_eq!(full.write(b"three\n"), None);
    }
}
