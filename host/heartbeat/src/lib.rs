//! What a process of a run is doing, as a record that another process can read: stage, phase, hook, iteration. Writing costs
//! a few stores, so that it can be done at every hook call. Knows nothing of hooks, nor of how memory is shared.
//!
//! ```text
//! runner ─► phases ───────┐
//! dispatcher ─► hooks ────┴─► record (8 KiB, in shared memory) ◄── file ─── launcher, people
//! ```
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use snaphook_heartbeat::{Heartbeat, Record, WORDS};
//!
//! let words: &'static [AtomicU64] = Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
//! let heartbeat = Heartbeat::over(words).unwrap();
//! heartbeat.name_hook(0, "LoggerHook");
//! heartbeat.name_point(7, "after_train_iter");
//! heartbeat.enter_iteration(3, 58);
//! heartbeat.enter_hook(0, 7, 2, 57);
//! let seen = Record::of_words(words).unwrap();
//! assert_eq!(seen.place(), "LoggerHook at after_train_iter (epoch 3, iteration 58)");
//! ```

mod process;
mod stays;
pub mod words;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use process::Origin;

pub use process::{Presence, process_state};
pub use stays::{Stay, Stays};

/// The record's length in words of eight bytes.
pub const WORDS: usize = 1024;
/// What the trainer is told the record's path with.
pub const PATH_VARIABLE: &str = "SNAPHOOK_HEARTBEAT";

/// The first word of a record: what it is, and the version of its layout.
const MAGIC: u64 = u64::from_le_bytes(*b"SNAPBEA1");
const AT_MAGIC: usize = 0;
const AT_PROCESS: usize = 1;
const AT_BEATS: usize = 2;
const AT_EPOCH: usize = 3;
const AT_ITERATION: usize = 4;
/// Numbers and one: 0 before the first phase, and outside of hooks.
const AT_PHASE: usize = 5;
const AT_HOOK: usize = 6;
const AT_POINT: usize = 7;
/// From one, as lines of a log count; 0 before the first iteration.
const AT_RUNNING_EPOCH: usize = 8;
const AT_RUNNING_ITERATION: usize = 9;
/// 1 when the run is over and what follows is left to do.
const AT_OVER: usize = 10;
/// Where the process is and when it began; 0 in records of earlier builds.
const AT_HOME: usize = 11;
const AT_BEGAN: usize = 12;
const PHASES: Names = Names { at: 16, words: 2, count: 16 };
const POINTS: Names = Names { at: 48, words: 4, count: 64 };
const HOOKS: Names = Names { at: 304, words: 8, count: 90 };

/// Names that are written once, so that a number is enough later.
struct Names {
    at: usize,
    words: usize,
    count: usize,
}

impl Names {
    fn place(&self, number: usize) -> Option<std::ops::Range<usize>> {
        // A number from a file may be any.
        let number = Some(number).filter(|number| *number < self.count)?;
        let start = self.at + self.words * number;
        Some(start..start + self.words)
    }

    fn write(&self, words: &[AtomicU64], number: usize, name: &str) {
        let Some(place) = self.place(number) else { return };
        let mut bytes = name.bytes().chain(std::iter::repeat(0));
        for word in &words[place] {
            let eight: [u8; 8] = std::array::from_fn(|_| bytes.next().unwrap_or_default());
            word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
        }
    }

    /// Text without what terminals obey: the file is anybody's.
    fn read(&self, words: &[u64], number: usize) -> Option<String> {
        let bytes = words[self.place(number)?].iter().flat_map(|word| word.to_le_bytes());
        let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let name: String = String::from_utf8_lossy(&bytes).chars().map(plain).collect();
        (!name.is_empty()).then_some(name)
    }
}

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
        let Origin { home, began } = Origin::own();
        words[AT_HOME].store(home, Ordering::Relaxed);
        words[AT_BEGAN].store(began, Ordering::Relaxed);
        words[AT_BEATS].store(1, Ordering::Relaxed);
        words[AT_MAGIC].store(MAGIC, Ordering::Release);
        Some(Heartbeat(words))
    }

    /// What the hook of this number is called: up to 64 bytes, of hooks below 90.
    pub fn name_hook(&self, number: usize, name: &str) {
        HOOKS.write(self.0, number, name);
    }

    /// What the hook point of this number is called: up to 32 bytes, of points below 64.
    pub fn name_point(&self, number: usize, name: &str) {
        POINTS.write(self.0, number, name);
    }

    /// What the phase of this number is called: up to 16 bytes, of phases below 14; the last two are [`Starting`]'s.
    pub fn name_phase(&self, number: usize, name: &str) {
        PHASES.write(self.0, number, name);
    }

    /// The run is over, and what hooks have left to do is done in peace, until another iteration begins.
    pub fn enter_end(&self) {
        self.store(AT_OVER, 1);
        self.beat();
    }

    /// A training iteration begins, or waits for its data; both numbers from 1, as lines of a log have them.
    #[inline]
    pub fn enter_iteration(&self, epoch: u64, iteration: u64) {
        self.store(AT_RUNNING_EPOCH, epoch);
        self.store(AT_RUNNING_ITERATION, iteration);
        self.store(AT_OVER, 0);
        self.beat();
    }

    /// A hook is being called, with so many epochs and iterations finished.
    #[inline]
    pub fn enter_hook(&self, hook: usize, point: usize, epoch: u64, iteration: u64) {
        self.store(AT_EPOCH, epoch);
        self.store(AT_ITERATION, iteration);
        self.store(AT_POINT, point as u64 + 1);
        self.store(AT_HOOK, hook as u64 + 1);
        self.beat();
    }

    /// It has returned.
    #[inline]
    pub fn leave_hook(&self) {
        self.store(AT_HOOK, 0);
        self.beat();
    }

    /// A phase begins.
    #[inline]
    pub fn enter_phase(&self, phase: usize) {
        self.store(AT_PHASE, phase as u64 + 1);
        self.beat();
    }

    /// A stage of the start begins, before there are phases.
    pub fn enter_start(&self, stage: Starting) {
        let number = PHASES.count - 1 - stage as usize;
        self.name_phase(number, stage.name());
        self.enter_phase(number);
    }

    /// What it says now; `None` for one that nobody reads.
    pub fn record(&self) -> Option<Record> {
        Record::of_words(self.0)
    }

    pub(crate) fn beats(&self) -> u64 {
        self.0[AT_BEATS].load(Ordering::Acquire)
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
}

/// What a process does before its run has phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starting {
    /// Waiting for the other ranks to come.
    Joining,
    /// Building model, data and hooks.
    Preparing,
}

impl Starting {
    const fn name(self) -> &'static str {
        match self {
            Starting::Joining => "joining",
            Starting::Preparing => "preparing",
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
    /// The training iteration that runs or ran last, with its epoch: from 1, as lines of a log count. Nothing before the
    /// first one.
    pub running: Option<(u64, u64)>,
    /// The hook that is being called, and the point.
    pub hook: Option<(String, String)>,
    /// Whether the run is over, and hooks have their last work to do, such as a long upload.
    pub is_over: bool,
    origin: Origin,
}

/// The hook point at the end of a run, also of one that was asked to end.
const LAST_POINT: &str = "after_run";

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
        let number = |at: usize| (words[at] as usize).checked_sub(1);
        let name = |names: &Names, what: &str, number: usize| {
            names.read(words, number).unwrap_or_else(|| format!("{what} {number}"))
        };
        let hook = number(AT_HOOK).map(|hook| {
            let point =
                number(AT_POINT).map_or(String::new(), |point| name(&POINTS, "point", point));
            (name(&HOOKS, "hook", hook), point)
        });
        let is_at_last_point = hook.as_ref().is_some_and(|(_, point)| point == LAST_POINT);
        Some(Record {
            process: words[AT_PROCESS],
            beats: words[AT_BEATS],
            phase: number(AT_PHASE).map_or(String::new(), |phase| name(&PHASES, "phase", phase)),
            epoch: words[AT_EPOCH],
            iteration: words[AT_ITERATION],
            running: Some((words[AT_RUNNING_EPOCH], words[AT_RUNNING_ITERATION]))
                .filter(|(_, iteration)| *iteration > 0),
            hook,
            is_over: is_at_last_point || words[AT_OVER] == 1,
            origin: Origin { home: words[AT_HOME], began: words[AT_BEGAN] },
        })
    }

    /// Whether the process that writes it is there.
    pub fn presence(&self) -> Presence {
        self.origin.presence(self.process)
    }

    /// Where the process sits, for people: `LoggerHook at after_train_iter (epoch 3, iteration 58)`.
    pub fn place(&self) -> String {
        let when = match self.running {
            Some((epoch, iteration)) => format!("epoch {epoch}, iteration {iteration}"),
            None => "before the first iteration".to_owned(),
        };
        match (&self.hook, self.phase.as_str()) {
            (Some((name, point)), _) => format!("{name} at {point} ({when})"),
            (None, "") => "starting".to_owned(),
            (None, phase) if phase == Starting::Joining.name() => {
                "waiting for the other ranks to come".to_owned()
            }
            (None, phase) if phase == Starting::Preparing.name() => {
                "preparing model and data".to_owned()
            }
            (None, _) if self.is_over => format!("at the end of the run ({when})"),
            (None, "other") => format!("between two phases ({when})"),
            (None, phase) => format!("phase {phase} ({when})"),
        }
    }

    /// How far it came, to tell who waits for whom: larger where it came farther.
    pub fn progress(&self) -> (u8, u64, u64) {
        let stage = match self.phase.as_str() {
            "" => 0,
            phase if phase == Starting::Joining.name() => 1,
            phase if phase == Starting::Preparing.name() => 2,
            _ => 3,
        };
        let (epoch, iteration) = self.running.unwrap_or_default();
        (stage, epoch, iteration)
    }
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
        heartbeat.name_phase(3, "backward");
        heartbeat.enter_phase(3);
        heartbeat.enter_hook(1, 2, 0, 3);
        let unnamed = Record::of_words(words).unwrap();
        assert_eq!(unnamed.place(), "hook 1 at point 2 (before the first iteration)");
        heartbeat.leave_hook();
        heartbeat.enter_iteration(1, 4);
        let seen = Record::of_words(words).unwrap();
        assert_eq!(seen.place(), "phase backward (epoch 1, iteration 4)");
        assert_eq!((seen.beats, seen.process), (5, u64::from(std::process::id())));
        assert_eq!(seen.presence(), Presence::Runs);
        words[AT_HOME].store(0, Ordering::Relaxed);
        assert_eq!(Record::of_words(words).unwrap().presence(), Presence::Elsewhere);
        words[AT_HOME].store(Origin::own().home, Ordering::Relaxed);
        assert_eq!(heartbeat.record(), Some(seen));
    }

    #[test]
    fn a_run_is_over_from_its_last_hook_point_to_another_iteration() {
        let words = words();
        let heartbeat = Heartbeat::over(words).unwrap();
        heartbeat.name_phase(0, "other");
        heartbeat.name_hook(0, "UploadHook");
        heartbeat.name_point(1, "after_train");
        heartbeat.name_point(2, "after_run");
        heartbeat.enter_iteration(2, 8);
        heartbeat.enter_phase(0);
        let is_over = || heartbeat.record().unwrap().is_over;
        heartbeat.enter_hook(0, 1, 2, 8);
        assert!(!is_over());
        heartbeat.enter_hook(0, 2, 2, 8);
        assert!(is_over());
        heartbeat.leave_hook();
        assert!(!is_over(), "nobody said that the run has no work left");
        heartbeat.enter_end();
        let place = heartbeat.record().unwrap().place();
        assert_eq!(place, "at the end of the run (epoch 2, iteration 8)");
        heartbeat.enter_iteration(3, 9);
        assert!(!is_over());
    }

    #[test]
    fn a_start_has_stages_that_come_one_after_the_other() {
        let words = words();
        let heartbeat = Heartbeat::over(words).unwrap();
        let seen = || heartbeat.record().unwrap();
        let mut progress = vec![seen().progress()];
        for (stage, place) in [
            (Starting::Joining, "waiting for the other ranks to come"),
            (Starting::Preparing, "preparing model and data"),
        ] {
            heartbeat.enter_start(stage);
            assert_eq!(seen().place(), place);
            progress.push(seen().progress());
        }
        heartbeat.name_phase(0, "data");
        heartbeat.enter_phase(0);
        progress.push(seen().progress());
        heartbeat.enter_iteration(1, 1);
        progress.push(seen().progress());
        assert!(progress.is_sorted() && progress[0] < progress[1], "{progress:?}");
        assert!(progress[1] < progress[2] && progress[3] < progress[4], "{progress:?}");
        assert_eq!(Heartbeat::default().record(), None);
    }

    #[test]
    fn a_file_is_read_as_it_stands_and_nonsense_is_refused() {
        let words = words();
        let heartbeat = Heartbeat::over(words).unwrap();
        heartbeat.name_hook(0, &"ü".repeat(100));
        heartbeat.name_hook(HOOKS.count, "one too many");
        heartbeat.name_point(0, "before_run");
        heartbeat.enter_hook(0, 0, 1, 2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rank_0.heartbeat");
        let bytes: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        std::fs::write(&path, &bytes).unwrap();
        let seen = Record::read(&path).unwrap();
        assert_eq!(seen, Record::of_words(words).unwrap());
        assert_eq!(seen.hook.unwrap(), ("ü".repeat(32), "before_run".to_owned()));
        for wrong in [Vec::new(), bytes[..100].to_vec(), vec![0; WORDS * 8]] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Record::read(&path).is_err());
        }
        let mut hostile = bytes;
        hostile[AT_HOOK * 8..AT_HOOK * 8 + 8].fill(0xff);
        hostile[HOOKS.at * 8..].fill(0x1b);
        std::fs::write(&path, hostile).unwrap();
        let place = Record::read(&path).unwrap().place();
        assert!(place.starts_with("hook 18446744073709551614 at before_run"), "{place}");
    }

    #[test]
    fn names_do_not_overlap() {
        for (names, next) in [(&PHASES, POINTS.at), (&POINTS, HOOKS.at), (&HOOKS, WORDS + 1)] {
            assert!(names.place(names.count - 1).unwrap().end <= next);
        }
    }
}
