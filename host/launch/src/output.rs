//! The output of ranks: all of it into their logs, some of it onto the terminal, by whole lines. A state of a progress bar,
//! which ends with a carriage return, is a line as well. Knows nothing of what it says.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::{LaunchError, Stream};

/// What a line ends with, or a state of a progress bar.
const ENDS: [u8; 2] = *b"\n\r";
/// A line that is longer is taken for several.
const LONGEST_LINE: usize = 1 << 16;

/// Writes a line of the launcher's own to standard error.
pub(crate) fn say(text: &str) {
    let line = END_OF_LINE.lock().unwrap_or_else(PoisonError::into_inner).begin(None, b"\n");
    // When standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}snaphook launch: {text}");
}

/// Who wrote onto the terminal last.
static END_OF_LINE: Mutex<EndOfLine> = Mutex::new(EndOfLine(None));

/// The rank, by its prefix, whose progress bar stands in the terminal's last line.
struct EndOfLine(Option<String>);

impl EndOfLine {
    /// What has to stand before lines of this rank, or of the launcher: a bar of another one stays in a line of its own.
    fn begin(&mut self, prefix: Option<&str>, lines: &[u8]) -> &'static str {
        let is_other = self.0.as_deref().is_some_and(|open| Some(open) != prefix);
        let is_open = lines.ends_with(b"\r");
        self.0 = prefix.filter(|_| is_open).map(str::to_owned);
        if is_other { "\n" } else { "" }
    }
}

/// The log of one rank, both streams in the order of their lines.
pub(crate) struct RankLog {
    pub(crate) path: PathBuf,
    file: Mutex<File>,
    last_output: Mutex<Instant>,
    is_broken: AtomicBool,
}

impl RankLog {
    pub(crate) fn create(path: PathBuf) -> Result<RankLog, LaunchError> {
        let file = match File::create(&path) {
            Ok(file) => Mutex::new(file),
            Err(source) => return Err(LaunchError::File { path, source }),
        };
        let last_output = Mutex::new(Instant::now());
        Ok(RankLog { path, file, last_output, is_broken: AtomicBool::new(false) })
    }

    /// When the rank said something last.
    pub(crate) fn last_output(&self) -> Instant {
        *self.last_output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, lines: &[u8]) {
        *self.last_output.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(lines);
        if let Err(error) = written
            && !self.is_broken.swap(true, Ordering::Relaxed)
        {
            say(&format!(
                "{}: cannot be written, the ranks go on without it: {error}",
                self.path.display()
            ));
        }
    }
}

/// How a stream is shown on the terminal.
pub(crate) struct Show {
    pub(crate) stream: Stream,
    /// Before each line.
    pub(crate) prefix: String,
}

impl Show {
    /// Whether the terminal is still there.
    fn write(&self, lines: &[u8]) -> bool {
        // Not held while it is written: a terminal that stands still must not keep the launcher from its work.
        let mut end_of_line = END_OF_LINE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = end_of_line.begin(Some(&self.prefix), lines).as_bytes();
        drop(end_of_line);
        let text = [before, &self.prefixed(lines)].concat();
        let written = match self.stream {
            Stream::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&text).and_then(|()| out.flush())
            }
            Stream::Stderr => io::stderr().lock().write_all(&text),
        };
        written.is_ok()
    }

    fn prefixed(&self, lines: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|byte| ENDS.contains(byte)) {
            text.extend_from_slice(self.prefix.as_bytes());
            text.extend_from_slice(line);
        }
        text
    }
}

/// Reads one stream of a rank to its end, on a thread.
pub(crate) fn follow(
    mut source: impl Read + Send + 'static,
    log: Arc<RankLog>,
    show: Option<Show>,
) -> Result<JoinHandle<()>, LaunchError> {
    let mut show = show;
    let pump = move || {
        let mut lines = Lines::default();
        let mut chunk = [0; 8192];
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            lines.push(&chunk[..read]);
            if let Some(whole) = lines.take_whole() {
                log.write(&whole);
                show = show.take().filter(|show| show.write(&whole));
            }
        }
        if let Some(rest) = lines.take_rest() {
            log.write(&rest);
            show.take().filter(|show| show.write(&rest));
        }
    };
    std::thread::Builder::new().name("rank-output".to_owned()).spawn(pump).map_err(|source| {
        LaunchError::System { what: "no thread for the output of a rank", source }
    })
}

/// Bytes on their way to be lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// All whole lines, if there is one.
    fn take_whole(&mut self) -> Option<Vec<u8>> {
        match self.0.iter().rposition(|byte| ENDS.contains(byte)) {
            Some(end) => {
                let rest = self.0.split_off(end + 1);
                Some(std::mem::replace(&mut self.0, rest))
            }
            None if self.0.len() >= LONGEST_LINE => self.take_rest(),
            None => None,
        }
    }

    /// What has no end, with one.
    fn take_rest(&mut self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(b'\n');
        Some(std::mem::take(&mut self.0))
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
    fn lines_leave_whole_and_a_rest_gets_its_end() {
        let mut lines = Lines::default();
        lines.push(b"one\ntw");
        assert_eq!(lines.take_whole().unwrap(), b"one\n");
        assert_eq!(lines.take_whole(), None);
        lines.push(b"o\nthree\nfo");
        assert_eq!(lines.take_whole().unwrap(), b"two\nthree\n");
        assert_eq!(lines.take_rest().unwrap(), b"fo\n");
        assert_eq!(lines.take_rest(), None);
        lines.push(&vec![b'x'; LONGEST_LINE]);
        assert_eq!(lines.take_whole().unwrap().len(), LONGEST_LINE + 1);
    }

    #[test]
    fn a_progress_bar_leaves_state_by_state() {
        let mut lines = Lines::default();
        lines.push(b"10%\r20%");
        assert_eq!(lines.take_whole().unwrap(), b"10%\r");
        lines.push(b"\r30%\ndone\r");
        assert_eq!(lines.take_whole().unwrap(), b"20%\r30%\ndone\r");
        assert_eq!(lines.take_rest(), None);
        let show = Show { stream: Stream::Stdout, prefix: "[rank 1] ".to_owned() };
        assert_eq!(show.prefixed(b"10%\r20%\n"), b"[rank 1] 10%\r[rank 1] 20%\n");
    }

    #[test]
    fn a_line_of_another_rank_leaves_a_progress_bar_in_its_own() {
        let mut end = EndOfLine(None);
        let before = [
            end.begin(Some("[rank 0] "), b"10%\r"),
            end.begin(Some("[rank 0] "), b"20%\r"),
            end.begin(Some("[rank 1] "), b"10%\r"),
            end.begin(None, b"\n"),
            end.begin(Some("[rank 1] "), b"20%\n"),
            end.begin(Some("[rank 0] "), b"30%\r"),
            end.begin(Some(""), b"one\n"),
        ];
        assert_eq!(before, ["", "", "\n", "\n", "", "", "\n"]);
    }

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
}
