//! What an epoch of training waits for: its data, and which part of making it, or the model.
//! Knows nothing of batches.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::stage_time;

/// Waiting for less than this share of the time is no bound.
const WAITED: f64 = 0.1;
/// An epoch shorter than this tells nothing.
const LEAST: Duration = Duration::from_secs(2);

/// What bounds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Reading,
    Decoding,
    Augmenting,
    Model,
}

impl Bound {
    fn words(self) -> &'static str {
        match self {
            Self::Reading => "reading of pictures",
            Self::Decoding => "decoding of pictures",
            Self::Augmenting => "augmentation",
            Self::Model => "model",
        }
    }
}

/// The time that threads spend on samples.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Reading, decoding, all of it.
    spent: Mutex<[Duration; 3]>,
}

impl Work {
    /// Does the work for a sample, and notes its time.
    pub(super) fn timed<T>(&self, make: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        stage_time::take();
        let made = make();
        let [reading, decoding] = stage_time::take();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, time) in spent.iter_mut().zip([reading, decoding, start.elapsed()]) {
            *sum += time;
        }
        made
    }

    fn shares(&self) -> [f64; 3] {
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let [reading, decoding, all] = spent.map(|time| time.as_secs_f64());
        let all = all.max(1e-9);
        [reading / all, decoding / all, (1.0 - (reading + decoding) / all).max(0.0)]
    }
}

/// The clock of one epoch, on the side that asks for batches.
#[derive(Debug)]
pub(super) struct Waiting {
    start: Instant,
    waited: Duration,
}

impl Waiting {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), waited: Duration::ZERO }
    }

    /// Asks for something, and notes how long that took.
    pub(super) fn timed<T>(&mut self, ask: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = ask();
        self.waited += start.elapsed();
        result
    }

    /// The line for the log, if the epoch was long enough and its bound is another than `before`.
    pub(super) fn line(
        &self,
        work: &Work,
        before: &mut Option<Bound>,
        epoch: u64,
    ) -> Option<String> {
        let all = self.start.elapsed();
        if all < LEAST {
            return None;
        }
        let waited = self.waited.as_secs_f64() / all.as_secs_f64();
        let bound = bound(waited, work.shares());
        if before.replace(bound) == Some(bound) {
            return None;
        }
        Some(line(bound, waited, work.shares(), epoch))
    }
}

fn bound(waited: f64, [reading, decoding, augmenting]: [f64; 3]) -> Bound {
    if waited < WAITED {
        Bound::Model
    } else if reading >= decoding && reading >= augmenting {
        Bound::Reading
    } else if decoding >= augmenting {
        Bound::Decoding
    } else {
        Bound::Augmenting
    }
}

fn line(bound: Bound, waited: f64, shares: [f64; 3], epoch: u64) -> String {
    let [reading, decoding, augmenting] = shares.map(|share| share * 100.0);
    let way_out = match bound {
        Bound::Model => "",
        Bound::Reading => {
            "; a faster disk, a larger image_cache_mib or more num_workers would help"
        }
        Bound::Decoding => {
            "; a larger image_cache_mib, smaller pictures or more num_workers would help"
        }
        Bound::Augmenting => "; more num_workers or a smaller pipeline would help",
    };
    format!(
        "The {} bounds the run: {:.0} % of epoch {} went by waiting for data (its threads: {reading:.0} % reading, \
         {decoding:.0} % decoding, {augmenting:.0} % augmenting{way_out})",
        bound.words(),
        waited * 100.0,
        epoch + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_part_is_the_bound_if_there_was_waiting() {
        assert_eq!(bound(0.05, [0.1, 0.8, 0.1]), Bound::Model);
        assert_eq!(bound(0.5, [0.1, 0.8, 0.1]), Bound::Decoding);
        assert_eq!(bound(0.5, [0.1, 0.3, 0.6]), Bound::Augmenting);
        assert_eq!(bound(0.5, [0.6, 0.3, 0.1]), Bound::Reading);
    }

    #[test]
    fn the_line_says_what_would_help() {
        let text = line(Bound::Decoding, 0.42, [0.01, 0.7, 0.29], 0);
        assert_eq!(
            text,
            "The decoding of pictures bounds the run: 42 % of epoch 1 went by waiting for data (its threads: 1 % \
             reading, 70 % decoding, 29 % augmenting; a larger image_cache_mib, smaller pictures or more num_workers \
             would help)"
        );
    }

    #[test]
    fn a_bound_is_told_once_and_a_short_epoch_tells_nothing() {
        let work = Work::default();
        work.timed(|| std::thread::sleep(Duration::from_millis(1)));
        let short = Waiting::start();
        assert_eq!(short.line(&work, &mut None, 0), None);
        let long = Waiting { start: Instant::now().checked_sub(LEAST * 2).unwrap(), waited: LEAST };
        let mut before = None;
        assert!(long.line(&work, &mut before, 3).unwrap().contains("augmentation bounds"));
        assert_eq!((long.line(&work, &mut before, 4), before), (None, Some(Bound::Augmenting)));
    }
}
