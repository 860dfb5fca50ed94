//! The formula of the schedule. Knows nothing of runs.

use std::f64::consts::PI;

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) num_last_epochs: u64,
    pub(crate) by_epoch: bool,
    pub(crate) has_warmup: bool,
    /// Iterations or epochs. Without a warm-up the cosine begins so much later all the same, as in MMCV.
    pub(crate) warmup: u64,
    pub(crate) warmup_ratio: f64,
    pub(crate) warmup_by_epoch: bool,
    pub(crate) min_lr: Option<f64>,
    pub(crate) min_lr_ratio: f64,
}

/// Where a run stands: epochs and iterations that are finished, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) epoch: u64,
    pub(crate) max_epochs: u64,
    pub(crate) iter: u64,
    pub(crate) max_iters: u64,
    pub(crate) epoch_length: u64,
}

impl Schedule {
    /// The rate of the iteration that comes next, for a group that is configured with `initial`.
    pub(crate) fn rate(&self, initial: f64, moment: &Moment) -> f64 {
        let epoch_length = moment.epoch_length.max(1);
        let warmup_iters = self.warmup * if self.warmup_by_epoch { epoch_length } else { 1 };
        if self.has_warmup && moment.iter < warmup_iters {
            let share = (moment.iter + 1) as f64 / warmup_iters as f64;
            return initial * self.warmup_ratio * share.powi(2);
        }
        let target = self.min_lr.unwrap_or(initial * self.min_lr_ratio);
        let (done, all, last, warmup) = if self.by_epoch {
            let warmup = warmup_iters as f64 / epoch_length as f64;
            (moment.epoch, moment.max_epochs, self.num_last_epochs, warmup)
        } else {
            let last = epoch_length * self.num_last_epochs;
            (moment.iter, moment.max_iters, last, warmup_iters as f64)
        };
        let (progress, first_of_last) = (done as f64 + 1.0, all as f64 - last as f64);
        if progress >= first_of_last {
            return target;
        }
        let factor = (progress - warmup) / (first_of_last - warmup);
        target + 0.5 * (initial - target) * ((PI * factor).cos() + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `reference.py` prints: 12 epochs of 10 iterations, a column for each of [`settings`].
    const REFERENCE: &str = include_str!("../reference.txt");

    fn yolox() -> Schedule {
        Schedule {
            num_last_epochs: 3,
            by_epoch: false,
            has_warmup: true,
            warmup: 2,
            warmup_ratio: 1.0,
            warmup_by_epoch: true,
            min_lr: None,
            min_lr_ratio: 0.05,
        }
    }

    fn settings() -> [Schedule; 4] {
        let other = Schedule {
            num_last_epochs: 1,
            warmup: 7,
            warmup_ratio: 0.5,
            warmup_by_epoch: false,
            min_lr: Some(0.0002),
            ..yolox()
        };
        let no_warmup =
            Schedule { num_last_epochs: 0, has_warmup: false, min_lr: Some(0.0), ..other.clone() };
        let by_epoch = Schedule { by_epoch: true, warmup: 0, min_lr: None, ..no_warmup.clone() };
        [yolox(), other, no_warmup, by_epoch]
    }

    fn at(iter: u64) -> Moment {
        Moment { epoch: iter / 10, max_epochs: 12, iter, max_iters: 120, epoch_length: 10 }
    }

    #[test]
    fn every_iteration_has_the_rate_of_mmdetection_2() {
        assert_eq!(REFERENCE.lines().count(), 120);
        for (iter, line) in (0..).zip(REFERENCE.lines()) {
            let expected: Vec<f64> = line.split(' ').map(|rate| rate.parse().unwrap()).collect();
            assert_eq!(expected.len(), settings().len());
            for (schedule, expected) in settings().iter().zip(expected) {
                let found = schedule.rate(0.01, &at(iter));
                // Python rounds some of these once more or less.
                assert!(
                    (found - expected).abs() <= 1e-15,
                    "{iter}: {found}, expected {expected} of {schedule:?}"
                );
            }
        }
    }

    #[test]
    fn by_epoch_the_rate_changes_between_epochs_only() {
        let schedule = Schedule { by_epoch: true, has_warmup: false, warmup: 0, ..yolox() };
        let rates: Vec<f64> = (0..120).map(|iter| schedule.rate(1.0, &at(iter))).collect();
        for epoch in rates.chunks(10) {
            assert!(epoch.iter().all(|rate| *rate == epoch[0]));
        }
        assert!(rates[0] > rates[10] && rates[70] > rates[80]);
        assert!(rates[80..].iter().all(|rate| *rate == 0.05));
    }
}
