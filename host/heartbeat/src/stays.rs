//! Where a process stayed for long, by looking at its own record now and then: who comes late to a meeting can say what
//! kept it. Knows nothing of meetings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Heartbeat, Record};

/// How often the record is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// What counts as long.
const LONG: Duration = Duration::from_millis(500);
/// A thread that looks so late has not run meanwhile, and neither has its process.
const STOPPED: Duration = Duration::from_secs(2);

/// A place at which the process stayed for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// What its record said.
    pub record: Record,
    /// For how long, to a tenth of a second.
    pub time: Duration,
    /// When it was over, to a tenth of a second.
    pub ended: Instant,
    /// Whether the process as a whole did not run: somebody had stopped it, or the machine had no time for it.
    pub is_stopped: bool,
}

impl Stay {
    /// For people: `34 s in SlowHook at after_train_iter (epoch 1, iteration 12)`.
    pub fn describe(&self) -> String {
        let (seconds, place) = (self.time.as_secs_f64(), self.record.place());
        let seconds =
            if seconds < 10.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
        match self.is_stopped {
            true => format!("{seconds} s in which its process did not run, near {place}"),
            false => format!("{seconds} s in {place}"),
        }
    }
}

/// The last long stay of this process. A clone is the same.
#[derive(Clone, Debug)]
pub struct Stays(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    heartbeat: Heartbeat,
    record: Record,
    since: Instant,
    looked: Instant,
    is_stopped: bool,
    last: Option<Stay>,
}

impl Stays {
    /// Looks at this record from now on, in a thread that ends with the last clone; `None` for a record that nobody reads,
    /// and where there can be no thread.
    pub fn watch(heartbeat: Heartbeat) -> Option<Stays> {
        let stays = Stays::new(heartbeat, Instant::now())?;
        let watched = Arc::downgrade(&stays.0);
        let look = move || {
            while let Some(seen) = watched.upgrade() {
                Stays(seen).look(Instant::now());
                std::thread::sleep(EVERY);
            }
        };
        std::thread::Builder::new().name("stays".to_owned()).spawn(look).ok()?;
        Some(stays)
    }

    fn new(heartbeat: Heartbeat, now: Instant) -> Option<Stays> {
        let record = heartbeat.record()?;
        let seen =
            Seen { heartbeat, record, since: now, looked: now, is_stopped: false, last: None };
        Some(Stays(Arc::new(Mutex::new(seen))))
    }

    /// The last long stay that is over, whenever that was.
    pub fn last(&self) -> Option<Stay> {
        self.look(Instant::now());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    fn look(&self, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_stopped |= now.saturating_duration_since(seen.looked) >= STOPPED;
        seen.looked = now;
        if seen.heartbeat.beats() == seen.record.beats {
            return;
        }
        let time = now.saturating_duration_since(seen.since);
        let Some(record) = seen.heartbeat.record() else { return };
        let record = std::mem::replace(&mut seen.record, record);
        let is_stopped = std::mem::take(&mut seen.is_stopped);
        seen.since = now;
        if time >= LONG {
            seen.last = Some(Stay { record, time, ended: now, is_stopped });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WORDS;
    use std::sync::atomic::AtomicU64;

    fn stays(begin: Instant) -> (Heartbeat, Stays) {
        let words: &'static [AtomicU64] =
            Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
        let heartbeat = Heartbeat::over(words).unwrap();
        heartbeat.name_hook(0, "SlowHook");
        heartbeat.name_point(0, "after_train_iter");
        heartbeat.enter_iteration(1, 12);
        (heartbeat, Stays::new(heartbeat, begin).unwrap())
    }

    #[test]
    fn the_last_long_stay_is_kept_with_its_place() {
        let begin = Instant::now();
        let at = |tenths: u64| begin + Duration::from_millis(100 * tenths);
        let (heartbeat, stays) = stays(begin);
        heartbeat.enter_hook(0, 0, 0, 11);
        (1..=341).for_each(|tenths| stays.look(at(tenths)));
        assert_eq!(stays.0.lock().unwrap().last, None, "it is not over");
        heartbeat.leave_hook();
        for tenths in 342..350 {
            heartbeat.enter_phase(0);
            stays.look(at(tenths));
        }
        let last = stays.0.lock().unwrap().last.clone().unwrap();
        let words = "34 s in SlowHook at after_train_iter (epoch 1, iteration 12)";
        assert_eq!(last.describe(), words);
    }

    #[test]
    fn a_process_that_did_not_run_says_so() {
        let begin = Instant::now();
        let (heartbeat, stays) = stays(begin);
        heartbeat.enter_hook(0, 0, 0, 11);
        stays.look(begin + Duration::from_millis(100));
        heartbeat.leave_hook();
        stays.look(begin + Duration::from_millis(7300));
        let last = stays.0.lock().unwrap().last.clone().unwrap();
        let words = "7.2 s in which its process did not run, near SlowHook at after_train_iter (epoch 1, iteration 12)";
        assert_eq!(last.describe(), words);
        assert!(Stays::watch(Heartbeat::default()).is_none());
    }
}
