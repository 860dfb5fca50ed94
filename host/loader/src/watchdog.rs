//! Says which hook of a plugin takes longer than it may, while it still does, and which file of an open plugin was replaced.
//! Knows nothing of what a run does about it.

use crate::breadcrumb::{Crumb, Seen, Slot, shortest_deadline, slots};
use crate::load::replaced_files;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{RecvError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A call into a plugin that goes on for too long.
#[derive(Clone, Debug, PartialEq)]
pub struct Overrun {
    /// Name of the plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// Its file.
    pub path: PathBuf,
    /// The hook's type; empty while the plugin is opened.
    pub type_name: String,
    /// The hook point, or `load`, `construct`, `save_state`, `load_state`, `close`.
    pub point: &'static str,
    /// Training iterations finished when the call began.
    pub iteration: u64,
    /// The batch, at the points of single batches.
    pub batch_idx: Option<u64>,
    /// For how long the call has been going on.
    pub elapsed: Duration,
    /// How long it may.
    pub deadline: Duration,
    /// Whether the run is to end now: the hook's deadline ends runs, and the call took twice as long.
    pub is_final: bool,
}

impl fmt::Display for Overrun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overrun { plugin, version, point, iteration, deadline, .. } = self;
        let type_name = if self.type_name.is_empty() { "the plugin" } else { &self.type_name };
        let seconds = self.elapsed.as_secs_f64();
        write!(
            formatter,
            "plugin {plugin} {version}: {type_name} has been in {point} for {seconds:.1} s, its deadline is \
             {} s (iteration {}, {})",
            deadline.as_secs_f64(),
            iteration + 1,
            self.path.display()
        )
    }
}

/// What the watchdog saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// A call that goes on for too long.
    Overrun(Overrun),
    /// The file of an open plugin is another one now, which takes effect in the next run.
    Replaced(PathBuf),
}

/// A thread that looks at what the other threads are in. Ends when it is dropped.
pub struct Watchdog {
    is_over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Reports every call into a plugin that lasts longer than its hook's deadline, or than `deadline` where the hook
    /// has none: once then, and again each time that the time has doubled. Of a hook that is often too slow, the first,
    /// second, fourth, eighth … such call is reported. `report` runs on the watchdog's thread while the call hangs. Once a
    /// second it looks at the files of open plugins, too; each that was replaced is reported once.
    ///
    /// `prepare` runs on the watchdog's thread before this returns. It should use every thread-local that `report` will:
    /// the first use of one with a destructor waits for the dynamic loader's lock (glibc's `__cxa_thread_atexit_impl`),
    /// which a plugin that hangs while it is opened never gives back.
    ///
    /// Errors: no thread could be started.
    pub fn start(
        deadline: Duration,
        prepare: impl FnOnce() + Send + 'static,
        mut report: impl FnMut(Sighting) + Send + 'static,
    ) -> io::Result<Watchdog> {
        let is_over = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&is_over);
        let (ready, is_ready) = channel();
        let watch = move || {
            prepare();
            drop(ready);
            let (mut watched, mut files) = (Watched::default(), Files::default());
            while !wait(&theirs, pause(deadline)) {
                let now = Instant::now();
                watched.look(deadline, now, &mut report);
                files.look(now, &mut report);
            }
        };
        let thread = std::thread::Builder::new().name("plugin-watchdog".to_owned()).spawn(watch)?;
        let _: Result<(), RecvError> = is_ready.recv(); // Nothing is sent; the sender goes.
        Ok(Watchdog { is_over, thread: Some(thread) })
    }
}

/// How long the watchdog may look away.
fn pause(deadline: Duration) -> Duration {
    let shortest = shortest_deadline().map_or(deadline, |own| own.min(deadline));
    (shortest / 4).clamp(MILLISECOND, Duration::from_secs(1))
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (is_over, changed) = &*self.is_over;
        *is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A report that panicked was printed by the panic hook.
            let _ = thread.join();
        }
    }
}

fn wait(is_over: &(Mutex<bool>, Condvar), pause: Duration) -> bool {
    let over = is_over.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = is_over.1.wait_timeout_while(over, pause, |over| !*over);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

/// What is known of the files of open plugins.
#[derive(Default)]
struct Files {
    looked: Option<Instant>,
    told: Vec<PathBuf>,
}

impl Files {
    fn look(&mut self, now: Instant, report: &mut impl FnMut(Sighting)) {
        if self.looked.is_some_and(|looked| now.duration_since(looked) < Duration::from_secs(1)) {
            return;
        }
        self.looked = Some(now);
        for file in replaced_files() {
            if !self.told.contains(&file) {
                self.told.push(file.clone());
                report(Sighting::Replaced(file));
            }
        }
    }
}

/// A call that goes on, as the watchdog saw it first.
struct Call {
    slot: &'static Slot,
    sequence: u64,
    since: Instant,
    deadline: Duration,
    /// When it is reported next.
    patience: Duration,
}

/// What the watchdog knows.
#[derive(Default)]
struct Watched {
    calls: Vec<Call>,
    /// How many calls of a hook were too slow.
    slow: Vec<(&'static Crumb, u64)>,
}

impl Watched {
    fn look(&mut self, deadline: Duration, now: Instant, report: &mut impl FnMut(Sighting)) {
        for slot in slots() {
            let seen = slot.read();
            let at = self.calls.iter().position(|known| std::ptr::eq(known.slot, slot));
            match (seen, at) {
                (None, Some(at)) => drop(self.calls.swap_remove(at)),
                (None, None) => {}
                (Some(seen), Some(at)) if self.calls[at].sequence == seen.sequence => {
                    if let Some(overrun) = self.calls[at].overrun(&seen, now)
                        && (overrun.is_final || self.is_worth_a_word(seen.crumb, &overrun))
                    {
                        report(Sighting::Overrun(overrun));
                    }
                }
                (Some(seen), at) => {
                    at.map(|at| self.calls.swap_remove(at));
                    let own =
                        seen.crumb.deadline.map_or(deadline, |own| own.after.max(MILLISECOND));
                    let sequence = seen.sequence;
                    let call = Call { slot, sequence, since: now, deadline: own, patience: own };
                    self.calls.push(call);
                }
            }
        }
    }

    /// A hook that is always a little too slow does not fill the log.
    fn is_worth_a_word(&mut self, crumb: &'static Crumb, overrun: &Overrun) -> bool {
        let at = self.slow.iter().position(|(known, _)| std::ptr::eq(*known, crumb));
        let at = at.unwrap_or_else(|| {
            self.slow.push((crumb, 0));
            self.slow.len() - 1
        });
        let count = &mut self.slow[at].1;
        let is_first = overrun.elapsed < overrun.deadline * 2;
        *count += u64::from(is_first);
        !is_first || count.is_power_of_two()
    }
}

impl Call {
    fn overrun(&mut self, seen: &Seen, now: Instant) -> Option<Overrun> {
        let elapsed = now.duration_since(self.since);
        if elapsed < self.patience {
            return None;
        }
        while self.patience <= elapsed {
            self.patience *= 2;
        }
        let crumb = seen.crumb;
        let ends_run = crumb.deadline.is_some_and(|own| own.ends_run);
        Some(Overrun {
            plugin: crumb.plugin.clone(),
            version: crumb.version.clone(),
            path: PathBuf::from(&crumb.path),
            type_name: crumb.type_name.clone(),
            point: seen.place.name(),
            iteration: seen.iteration,
            batch_idx: seen.batch,
            elapsed,
            deadline: self.deadline,
            is_final: ends_run && elapsed >= self.deadline * 2,
        })
    }
}
