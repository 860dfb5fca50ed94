//! The terminals of the launcher, each with a thread that shows what waits for it: lines of ranks and words of the launcher.
//! Knows nothing of where lines come from.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::{ENDS, RankLog};
use crate::signals::{Caught, asks_for_an_end};
use crate::{LaunchError, Stream};

/// Before words of the launcher.
const LAUNCHER: &str = "snaphook launch: ";
/// How often it is looked whether all is shown.
const PAUSE: Duration = Duration::from_millis(20);
/// For readers that only need a moment, when somebody is tired of waiting for them.
const LAST_LOOK: Duration = Duration::from_millis(500);

static TERMINALS: OnceLock<Terminals> = OnceLock::new();

/// Says a line of the launcher's own on standard error, without waiting until it is there.
pub(crate) fn say(text: &str) {
    say_words(format!("{LAUNCHER}{text}\n").into_bytes());
}

/// Says why a job cannot be started.
pub(crate) fn say_error(error: &LaunchError) {
    say_words(format!("error: {}\n", error.with_cause()).into_bytes());
}

fn say_words(line: Vec<u8>) {
    match TERMINALS.get() {
        Some(terminals) => terminals.of(Stream::Stderr).push_words(line),
        // When standard error is closed there is nobody left to tell.
        None => {
            let _ = io::stderr().write_all(&line);
        }
    }
}

/// How a stream is shown on the terminal.
pub(crate) struct Show {
    pub(crate) stream: Stream,
    /// Before each line.
    pub(crate) prefix: Arc<str>,
}

impl Show {
    /// Shows these lines when it is their turn; `stretch` is where they stand in the log, if they do.
    pub(super) fn lines(&self, lines: Vec<u8>, log: &Arc<RankLog>, stretch: Option<Range<u64>>) {
        if let Some(terminals) = TERMINALS.get() {
            terminals.of(self.stream).push_lines(&self.prefix, lines, log, stretch);
        }
    }
}

/// Where the two streams lead.
pub(crate) struct Terminals {
    stdout: Arc<Queue>,
    /// The same where both lead to one place, so that lines and words stay in their order.
    stderr: Arc<Queue>,
}

impl Terminals {
    /// Begins to show what is said, until the process ends.
    pub(crate) fn start() -> Result<&'static Terminals, LaunchError> {
        if let Some(started) = TERMINALS.get() {
            started.all().iter().for_each(|queue| queue.open());
            return Ok(started);
        }
        let failed = |source| LaunchError::System { what: "no thread for the terminal", source };
        let open = |stream: BorrowedFd<'_>| Ok(File::from(stream.try_clone_to_owned()?));
        let (out, err) = (open(io::stdout().as_fd()), open(io::stderr().as_fd()));
        let (out, err) = (out.map_err(failed)?, err.map_err(failed)?);
        let are_one = place(&out).is_some() && place(&out) == place(&err);
        let stderr = show_on(err).map_err(failed)?;
        let stdout = if are_one { Arc::clone(&stderr) } else { show_on(out).map_err(failed)? };
        Ok(TERMINALS.get_or_init(|| Terminals { stdout, stderr }))
    }

    /// Takes nothing more, as what a rank left running may speak for ever, and waits until all that was said is shown: for
    /// as long as that takes, or for `patience`, or until a moment after a signal that asks for an end.
    pub(crate) fn let_readers_read(&self, caught: &Caught, patience: Option<Duration>) {
        self.all().iter().for_each(|queue| queue.close());
        let patience = if caught.is_impatient() { Some(LAST_LOOK) } else { patience };
        let mut until = patience.map(|patience| Instant::now() + patience);
        loop {
            if self.all().iter().all(|queue| queue.is_shown_within(PAUSE)) {
                return;
            }
            if caught.next(Duration::ZERO).is_some_and(asks_for_an_end) {
                let soon = Instant::now() + LAST_LOOK;
                until = Some(until.map_or(soon, |until| until.min(soon)));
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return;
            }
        }
    }

    fn all(&self) -> [&Queue; 2] {
        [&self.stderr, &self.stdout]
    }

    fn of(&self, stream: Stream) -> &Queue {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

/// What tells one file, pipe or terminal from another.
fn place(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().map(|found| (found.dev(), found.ino()))
}

fn show_on(mut terminal: File) -> io::Result<Arc<Queue>> {
    let queue = Arc::new(Queue::default());
    let shown = Arc::clone(&queue);
    let show = move || {
        let mut end_of_line = EndOfLine(None);
        loop {
            shown.next().for_each_part(|prefix, lines| {
                let before = end_of_line.begin(prefix, lines).as_bytes();
                let text = [before, &prefixed(prefix.unwrap_or_default(), lines)].concat();
                // When it is closed there is nobody left to show it to.
                let _ = write(&mut terminal, &text);
            });
        }
    };
    std::thread::Builder::new().name("terminal".to_owned()).spawn(show)?;
    Ok(queue)
}

/// As `write_all`, and waits where another program has made the terminal one that does not wait.
fn write(terminal: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    while !text.is_empty() {
        match terminal.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => text = &text[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

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

fn prefixed(prefix: &str, lines: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| ENDS.contains(byte)) {
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn each_state_of_a_progress_bar_begins_with_its_rank() {
        assert_eq!(prefixed("[rank 1] ", b"10%\r20%\n"), b"[rank 1] 10%\r[rank 1] 20%\n");
    }

    /// Takes three bytes at a time, every other time.
    struct Unwilling(Vec<u8>, bool);

    impl Write for Unwilling {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = text.len().min(3);
            self.0.extend_from_slice(&text[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_does_not_wait_gets_all() {
        let mut terminal = Unwilling(Vec::new(), false);
        write(&mut terminal, b"a whole line\n").unwrap();
        assert_eq!(terminal.0, b"a whole line\n");
    }
}
