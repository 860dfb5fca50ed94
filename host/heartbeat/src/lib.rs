//! What a process of a run is doing, as a record that another process can read: stage, phase, hook, iteration. Writing costs
//! a few stores, so that it can be done at every hook call. Knows nothing of hooks, nor of how memory is shared.
//!
//! ```text
//! runner ─► phases ───────┐
//! dispatcher ─► hooks ────┴─► record (4 KiB, in shared memory) ◄── file ─── launcher, people
//! ```
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use snaphook_heartbeat::{Heartbeat, Record, WORDS};
//!
//! let words: &'static [AtomicU64] = Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
//! let heartbeat = Heartbeat::over(words).unwrap();
//! heartbeat.name_hook(0, "LoggerHook");
//! heartbeat.enter_hook(0, "after_train_iter", 2, 57);
//! let seen = Record::of_words(words).unwrap();
//! assert_eq!(seen.place(), "LoggerHook at after_train_iter (epoch 2, iter 57)");
//! ```

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The record's length in words of eight bytes.
pub const WORDS: usize = 512;
/// What the trainer is told the record's path with.
pub const PATH_VARIABLE: &str = "SNAPHOOK_HEARTBEAT";

/// The first word of a record: what it is, and the version of its layout.
const MAGIC: u64 = u64::from_le_bytes(*b"SNAPBEA1");
const AT_MAGIC: usize = 0;
const AT_PROCESS: usize = 1;
const AT_BEATS: usize = 2;
const AT_PHASE: usize = 3;
const AT_EPOCH: usize = 5;
const AT_ITERATION: usize = 6;
/// Number of the hook and one, 0 outside of hooks.
const AT_HOOK: usize = 7;
/// The point's name, in the form of hooks' names.
const AT_POINT: usize = 8;
const AT_NAMES: usize = 16;
const WORDS_OF_NAME: usize = 8;
const HOOKS: usize = (WORDS - AT_NAMES) / WORDS_OF_NAME;

/// Where records go that nobody reads.
static NOBODY: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// The writing side: one thread of one process.
#[derive(Clone, Copy)]
pub struct Heartbeat(&'static [AtomicU64]);

impl Default for Heartbeat {
    /// A record that nobody reads.
    fn default() -> Heartbeat {
        Heartbeat(&NOBODY)
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Heartbeat").finish_non_exhaustive()
    }
}

impl Heartbeat {
    /// Writes into this memory, [`WORDS`] words; `None` when it is too short.
    pub fn over(words: &'static [AtomicU64]) -> Option<Heartbeat> {
        let words = words.get(..WORDS)?;
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        words[AT_PROCESS].store(u64::from(std::process::id()), Ordering::Relaxed);
        words[AT_BEATS].store(1, Ordering::Relaxed);
        words[AT_MAGIC].store(MAGIC, Ordering::Release);
        Some(Heartbeat(words))
    }

    /// What the hook of this number is called; shown up to 63 bytes. Hooks from the 63rd on have no name in the record.
    pub fn name_hook(&self, index: usize, name: &str) {
        if index < HOOKS {
            self.write_text(AT_NAMES + index * WORDS_OF_NAME, WORDS_OF_NAME, name);
        }
    }

    /// A hook is being called. `point` is shown up to 63 bytes.
    #[inline]
    pub fn enter_hook(&self, index: usize, point: &'static str, epoch: u64, iteration: u64) {
        self.store(AT_EPOCH, epoch);
        self.store(AT_ITERATION, iteration);
        self.write_text(AT_POINT, WORDS_OF_NAME, point);
        self.store(AT_HOOK, index as u64 + 1);
        self.beat();
    }

    /// It has returned.
    #[inline]
    pub fn leave_hook(&self) {
        self.store(AT_HOOK, 0);
        self.beat();
    }

    /// A phase begins: `data`, `forward` and so on, up to 16 bytes.
    #[inline]
    pub fn enter_phase(&self, phase: &'static str) {
        self.write_text(AT_PHASE, 2, phase);
        self.beat();
    }

    #[inline]
    fn beat(&self) {
        // One writer: no other store is lost.
        let beats = self.0[AT_BEATS].load(Ordering::Relaxed);
        self.0[AT_BEATS].store(beats.wrapping_add(1), Ordering::Release);
    }

    #[inline]
    fn store(&self, at: usize, value: u64) {
        self.0[at].store(value, Ordering::Relaxed);
    }

    #[inline]
    fn write_text(&self, at: usize, words: usize, text: &str) {
        let mut bytes = [0; WORDS_OF_NAME * 8];
        let length = text.len().min(words * 8);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        for (word, chunk) in bytes.chunks_exact(8).take(words).enumerate() {
            let mut number = [0; 8];
            number.copy_from_slice(chunk);
            self.store(at + word, u64::from_le_bytes(number));
        }
    }
}

/// What a record said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The process that writes it.
    pub process: u64,
    /// Grows with everything that begins or ends: as long as it stays, nothing moves.
    pub beats: u64,
    /// `data`, `forward`, …; empty before the first.
    pub phase: String,
    /// Epochs finished.
    pub epoch: u64,
    /// Training iterations finished.
    pub iteration: u64,
    /// The hook that is being called, and the point.
    pub hook: Option<(String, String)>,
}

impl Record {
    /// Reads a record's file, whoever writes it at the moment.
    ///
    /// Errors: a file that cannot be read, or is no whole record.
    pub fn read(path: &Path) -> io::Result<Record> {
        let mut bytes = [0; WORDS * 8];
        std::fs::File::open(path)?.read_exact(&mut bytes)?;
        let mut words = Vec::with_capacity(WORDS);
        for chunk in bytes.chunks_exact(8) {
            let mut number = [0; 8];
            number.copy_from_slice(chunk);
            words.push(u64::from_le_bytes(number));
        }
        let no_record = || io::Error::new(io::ErrorKind::InvalidData, "no record of a heartbeat");
        Record::decode(&words).ok_or_else(no_record)
    }

    /// Reads a record in this process's memory; `None` where there is none.
    pub fn of_words(words: &[AtomicU64]) -> Option<Record> {
        let words: Vec<u64> = words.iter().map(|word| word.load(Ordering::Acquire)).collect();
        Record::decode(&words)
    }

    fn decode(words: &[u64]) -> Option<Record> {
        if words.len() < WORDS || words[AT_MAGIC] != MAGIC {
            return None;
        }
        let hook = (words[AT_HOOK] as usize).checked_sub(1).map(|index| {
            let at = AT_NAMES.saturating_add(index.saturating_mul(WORDS_OF_NAME));
            let name = if index < HOOKS { text(words, at, WORDS_OF_NAME) } else { String::new() };
            let name = if name.is_empty() { format!("hook {index}") } else { name };
            (name, text(words, AT_POINT, WORDS_OF_NAME))
        });
        Some(Record {
            process: words[AT_PROCESS],
            beats: words[AT_BEATS],
            phase: text(words, AT_PHASE, 2),
            epoch: words[AT_EPOCH],
            iteration: words[AT_ITERATION],
            hook,
        })
    }

    /// Where the process sits, for people: `LoggerHook at after_train_iter (epoch 2, iter 57)`.
    pub fn place(&self) -> String {
        let Record { epoch, iteration, phase, hook, .. } = self;
        match (hook, phase.as_str()) {
            (Some((name, point)), _) => {
                format!("{name} at {point} (epoch {epoch}, iter {iteration})")
            }
            (None, "") => "starting".to_owned(),
            (None, "other") => format!("between two phases (epoch {epoch}, iter {iteration})"),
            (None, phase) => format!("phase {phase} (epoch {epoch}, iter {iteration})"),
        }
    }
}

/// Text without what terminals obey: the file is anybody's.
fn text(words: &[u64], at: usize, count: usize) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .skip(at)
        .take(count)
        .flat_map(|word| word.to_le_bytes())
        .take_while(|byte| *byte != 0)
        .collect();
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    String::from_utf8_lossy(&bytes).chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> &'static [AtomicU64] {
        Box::leak((0..WORDS).map(|_| AtomicU64::new(7)).collect())
    }

    #[test]
    fn a_record_tells_phase_hook_and_iteration() {
        let words = words();
        assert_eq!(Record::of_words(words), None);
        let heartbeat = Heartbeat::over(words).unwrap();
        assert_eq!(Record::of_words(words).unwrap().place(), "starting");
        heartbeat.enter_phase("backward");
        heartbeat.enter_hook(1, "after_backward", 0, 3);
        heartbeat.leave_hook();
        let seen = Record::of_words(words).unwrap();
        assert_eq!(seen.place(), "phase backward (epoch 0, iter 3)");
        assert_eq!((seen.beats, seen.process), (4, u64::from(std::process::id())));
    }

    #[test]
    fn a_file_is_read_as_it_stands_and_nonsense_is_refused() {
        let words = words();
        let heartbeat = Heartbeat::over(words).unwrap();
        let long = "ü".repeat(100);
        heartbeat.name_hook(0, &long);
        heartbeat.name_hook(HOOKS, "one too many");
        heartbeat.enter_hook(0, "before_run", 1, 2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rank_0.heartbeat");
        let bytes: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        std::fs::write(&path, &bytes).unwrap();
        let seen = Record::read(&path).unwrap();
        assert_eq!(seen, Record::of_words(words).unwrap());
        assert!(seen.place().starts_with("üüü"), "{}", seen.place());
        heartbeat.enter_hook(HOOKS, "before_run", 1, 2);
        assert!(Record::of_words(words).unwrap().place().starts_with("hook 62 at before_run"));
        for wrong in [Vec::new(), bytes[..100].to_vec(), vec![0; WORDS * 8]] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Record::read(&path).is_err());
        }
        let mut hostile = bytes;
        hostile[AT_HOOK * 8..AT_HOOK * 8 + 8].fill(0xff);
        std::fs::write(&path, hostile).unwrap();
        assert!(Record::read(&path).unwrap().place().contains("hook"));
    }
}
