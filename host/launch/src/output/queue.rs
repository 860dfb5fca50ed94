//! What is to be shown on one terminal, in its order. As long as little waits it is kept here; what comes then stays in the
//! logs, so that a terminal that stands still costs little memory. Knows nothing of terminals.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ENDS, LONGEST_LINE, RankLog};

/// Bytes that are kept here.
const MOST_HELD: usize = 1 << 20;
/// Pieces among which one may have begun what another one goes on with: as many as ranks that speak in turns.
const NEIGHBOURS: usize = 64;

/// Lines of one rank, or words of the launcher.
pub(super) struct Piece {
    /// Before each line; nothing for words of the launcher.
    pub(super) prefix: Option<Arc<str>>,
    pub(super) text: Text,
}

/// Where the lines are.
pub(super) enum Text {
    Held(Vec<u8>),
    Logged { log: Arc<RankLog>, stretch: Range<u64> },
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    has_changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    held: usize,
    /// Whether the one that was taken last is not on the terminal yet.
    is_showing: bool,
    is_closed: bool,
}

impl Queue {
    /// Words of the launcher.
    pub(super) fn push_words(&self, words: Vec<u8>) {
        self.push(Piece { prefix: None, text: Text::Held(words) });
    }

    /// Lines of a rank, and where they stand in its log, if they do.
    pub(super) fn push_lines(
        &self,
        prefix: &Arc<str>,
        lines: Vec<u8>,
        log: &Arc<RankLog>,
        stretch: Option<Range<u64>>,
    ) {
        let held = self.lock().held;
        let text = match stretch {
            Some(stretch) if held + lines.len() > MOST_HELD => {
                Text::Logged { log: Arc::clone(log), stretch }
            }
            // Also what a full disk has kept out of the log: nobody else has it.
            _ => Text::Held(lines),
        };
        self.push(Piece { prefix: Some(Arc::clone(prefix)), text });
    }

    /// Takes nothing more, until it is opened again.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    pub(super) fn open(&self) {
        self.lock().is_closed = false;
    }

    fn push(&self, piece: Piece) {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return;
        }
        waiting.held += piece.text.held();
        let lately = waiting.pieces.iter_mut().rev().take(NEIGHBOURS);
        let mut lately = lately.take_while(|other| other.prefix.is_some());
        if !lately.any(|other| other.goes_on_with(&piece)) {
            waiting.pieces.push_back(piece);
        }
        self.has_changed.notify_all();
    }

    /// Waits for the next one. The one before is on the terminal.
    pub(super) fn next(&self) -> Piece {
        let mut waiting = self.lock();
        waiting.is_showing = false;
        self.has_changed.notify_all();
        loop {
            if let Some(piece) = waiting.pieces.pop_front() {
                waiting.held -= piece.text.held();
                waiting.is_showing = true;
                return piece;
            }
            waiting = self.has_changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether all is on the terminal, at last after a moment.
    pub(super) fn is_shown_within(&self, moment: Duration) -> bool {
        let is_open = |waiting: &mut Waiting| waiting.is_showing || !waiting.pieces.is_empty();
        let waited = self.has_changed.wait_timeout_while(self.lock(), moment, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    /// Whether the other one is what comes next in the same log; then it is taken in.
    fn goes_on_with(&mut self, other: &Piece) -> bool {
        match (&mut self.text, &other.text) {
            (Text::Logged { log, stretch }, Text::Logged { log: others, stretch: next })
                if Arc::ptr_eq(log, others)
                    && stretch.end == next.start
                    && self.prefix == other.prefix =>
            {
                stretch.end = next.end;
                true
            }
            _ => false,
        }
    }

    /// Gives its text by whole lines, not too much at once.
    pub(super) fn for_each_part(self, mut show: impl FnMut(Option<&str>, &[u8])) {
        let prefix = self.prefix.as_deref();
        match self.text {
            Text::Held(text) => show(prefix, &text),
            Text::Logged { log, mut stretch } => {
                while stretch.start < stretch.end {
                    // Room for one line at least.
                    let end = stretch.end.min(stretch.start + 2 * LONGEST_LINE as u64);
                    let mut lines = log.read(stretch.start..end);
                    if let Some(end) = lines.iter().rposition(|byte| ENDS.contains(byte)) {
                        lines.truncate(end + 1);
                    }
                    if lines.is_empty() {
                        return;
                    }
                    show(prefix, &lines);
                    stretch.start += lines.len() as u64;
                }
            }
        }
    }
}

impl Text {
    fn held(&self) -> usize {
        match self {
            Text::Held(text) => text.len(),
            Text::Logged { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    /// A rank with its log and a queue, which take the same lines.
    struct Speaker {
        prefix: Arc<str>,
        log: Arc<RankLog>,
    }

    impl Speaker {
        fn new(folder: &tempfile::TempDir, rank: u32) -> Speaker {
            let log = RankLog::create(folder.path().join(format!("rank_{rank}.log"))).unwrap();
            Speaker { prefix: format!("{rank}: ").into(), log: Arc::new(log) }
        }

        fn say(&self, queue: &Queue, lines: &[u8]) {
            let stretch = self.log.write(lines);
            queue.push_lines(&self.prefix, lines.to_vec(), &self.log, stretch);
        }
    }

    /// All that waits, piece by piece.
    fn shown(queue: &Queue) -> Vec<(String, Vec<u8>)> {
        let mut parts = Vec::new();
        while !queue.lock().pieces.is_empty() {
            queue.next().for_each_part(|prefix, text| {
                parts.push((prefix.unwrap_or("launcher").to_owned(), text.to_vec()));
            });
        }
        parts
    }

    #[test]
    fn words_and_lines_come_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (queue, rank) = (Queue::default(), Speaker::new(&folder, 0));
        assert!(queue.is_shown_within(NO_TIME));
        queue.push_words(b"a\n".to_vec());
        rank.say(&queue, b"b\n");
        queue.push_words(b"c\n".to_vec());
        assert!(!queue.is_shown_within(NO_TIME));
        let texts: Vec<u8> = shown(&queue).into_iter().flat_map(|(_, text)| text).collect();
        assert_eq!(texts, b"a\nb\nc\n");
        assert!(!queue.is_shown_within(NO_TIME), "the last one is on its way");

        queue.close();
        rank.say(&queue, b"d\n");
        queue.open();
        rank.say(&queue, b"e\n");
        assert_eq!(shown(&queue), [("0: ".to_owned(), b"e\n".to_vec())]);
    }

    #[test]
    fn what_waits_for_long_is_read_from_the_logs_and_costs_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::default();
        let ranks = [0, 1].map(|rank| Speaker::new(&folder, rank));
        let line = |number: usize| format!("{number:099}\n").into_bytes();
        for number in 0..30_000 {
            ranks.iter().for_each(|rank| rank.say(&queue, &line(number)));
        }
        queue.push_words(b"a word\n".to_vec());
        ranks[0].say(&queue, &line(30_000));
        assert!(queue.lock().held <= MOST_HELD + 7, "{}", queue.lock().held);
        assert!(queue.lock().pieces.len() < MOST_HELD / 100 + 5, "the rest are a few stretches");
        let shown = shown(&queue);
        assert!(shown.iter().all(|(_, text)| text.ends_with(b"\n") && text.len() <= 1 << 17));
        for (rank, last) in [("0: ", 30_001), ("1: ", 30_000)] {
            let own = shown.iter().filter(|(prefix, _)| prefix == rank);
            let text: Vec<u8> = own.flat_map(|(_, text)| text.clone()).collect();
            assert!(text == (0..last).flat_map(line).collect::<Vec<u8>>(), "{rank}");
        }
        let (prefix, text) = &shown[shown.len() - 2];
        assert_eq!((prefix.as_str(), text.as_slice()), ("launcher", b"a word\n".as_slice()));
    }

    #[test]
    fn a_log_that_somebody_cut_ends_there() {
        let folder = tempfile::tempdir().unwrap();
        let rank = Speaker::new(&folder, 0);
        let stretch = rank.log.write(b"one\ntwo\n").unwrap();
        std::fs::write(&rank.log.path, "one\nt").unwrap();
        let text = Text::Logged { log: Arc::clone(&rank.log), stretch };
        let mut parts = Vec::new();
        Piece { prefix: Some(rank.prefix), text }
            .for_each_part(|_, text| parts.push(text.to_vec()));
        assert_eq!(parts, [b"one\n".to_vec(), b"t".to_vec()]);
    }
}
