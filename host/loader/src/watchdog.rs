//! Says which hook of a plugin takes longer than it may, while it still does. Knows nothing of what a run does about it.

use crate::breadcrumb::{Seen, Slot, slots};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
}

impl fmt::Display for Overrun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overrun { plugin, version, type_name, point, iteration, elapsed, .. } = self;
        let seconds = elapsed.as_secs_f64();
        write!(
            formatter,
            "plugin {plugin} {version}: {type_name} has been in {point} for {seconds:.1} s "
        )?;
        write!(formatter, "(iteration {iteration}, {})", self.path.display())
    }
}

/// A thread that looks at what the other threads are in. Ends when it is dropped.
pub struct Watchdog {
    is_over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Reports every call into a plugin that lasts longer than `deadline`: once then, and again each time that the
    /// time has doubled. `report` runs on the watchdog's thread while the call hangs.
    ///
    /// Errors: no thread could be started.
    pub fn start(
        deadline: Duration,
        mut report: impl FnMut(&Overrun) + Send + 'static,
    ) -> io::Result<Watchdog> {
        let is_over = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&is_over);
        let pause = (deadline / 4).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let watch = move || {
            let mut watched = Vec::new();
            while !wait(&theirs, pause) {
                look(&mut watched, deadline, Instant::now(), &mut report);
            }
        };
        let thread = std::thread::Builder::new().name("plugin-watchdog".to_owned()).spawn(watch)?;
        Ok(Watchdog { is_over, thread: Some(thread) })
    }
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

/// A call that goes on, as the watchdog saw it first.
struct Watched {
    slot: &'static Slot,
    sequence: u64,
    since: Instant,
    /// When it is reported next.
    patience: Duration,
}

fn look(
    watched: &mut Vec<Watched>,
    deadline: Duration,
    now: Instant,
    report: &mut impl FnMut(&Overrun),
) {
    for slot in slots() {
        let seen = slot.read();
        let at = watched.iter().position(|known| std::ptr::eq(known.slot, slot));
        match (seen, at) {
            (None, Some(at)) => drop(watched.swap_remove(at)),
            (None, None) => {}
            (Some(seen), Some(at)) if watched[at].sequence == seen.sequence => {
                let known = &mut watched[at];
                let elapsed = now.duration_since(known.since);
                if elapsed >= known.patience {
                    known.patience = elapsed * 2;
                    report(&overrun(&seen, elapsed));
                }
            }
            (Some(seen), at) => {
                at.map(|at| watched.swap_remove(at));
                watched.push(Watched {
                    slot,
                    sequence: seen.sequence,
                    since: now,
                    patience: deadline,
                });
            }
        }
    }
}

fn overrun(seen: &Seen, elapsed: Duration) -> Overrun {
    let crumb = seen.crumb;
    Overrun {
        plugin: crumb.plugin.clone(),
        version: crumb.version.clone(),
        path: PathBuf::from(&crumb.path),
        type_name: crumb.type_name.clone(),
        point: seen.place.name(),
        iteration: seen.iteration,
        batch_idx: seen.batch,
        elapsed,
    }
}
