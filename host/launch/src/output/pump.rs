//! The output of ranks on its way into their logs, by whole lines. A state of a progress bar, which ends with a carriage
//! return, is a line as well. Knows nothing of what it says, nor of how it is shown.

use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::{ENDS, LONGEST_LINE, RankLog, Show};
use crate::LaunchError;

/// Reads one stream of a rank to its end, on a thread.
pub(crate) fn follow(
    mut source: impl Read + Send + 'static,
    log: Arc<RankLog>,
    show: Option<Show>,
) -> Result<JoinHandle<()>, LaunchError> {
    let pump = move || {
        let take_in = |lines: Vec<u8>| {
            let stretch = log.write(&lines);
            if let Some(show) = &show {
                show.lines(lines, &log, stretch);
            }
        };
        let mut lines = Lines::default();
        let mut chunk = [0; 8192];
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            lines.push(&chunk[..read]);
            lines.take_whole().into_iter().for_each(take_in);
        }
        lines.take_rest().into_iter().for_each(take_in);
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
    }
}
