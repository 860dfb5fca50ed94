//! The arithmetic of each schedule: the value after a step from the value before it.
//! Knows nothing of begin and end, groups or configuration files.
//!
//! Source: MMEngine 0.10.7 `optim/scheduler/param_scheduler.py`, MMDetection 3.3.0
//! `engine/schedulers/quadratic_warmup.py`; the order of operations is theirs, so that f64 results agree.

use std::collections::BTreeMap;
use std::f64::consts::PI;

/// Where a cosine ends: a value, or a share of the initial value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Floor {
    Value(f64),
    ShareOfInitial(f64),
}

impl Floor {
    fn of(self, initial: f64) -> f64 {
        match self {
            Floor::Value(value) => value,
            Floor::ShareOfInitial(share) => initial * share,
        }
    }
}

/// How one schedule changes a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rule {
    Constant { factor: f64, total: i64 },
    Linear { start: f64, end: f64, total: i64 },
    MultiStep { milestones: BTreeMap<i64, i32>, gamma: f64 },
    Step { size: i64, gamma: f64 },
    Exponential { gamma: f64 },
    Cosine { period: i64, floor: Floor },
    CosineRestart { periods: Vec<i64>, weights: Vec<f64>, floor: Floor },
    Poly { floor: f64, power: f64, total: i64 },
    QuadraticWarmup { total: i64 },
    OneCycle { phases: Vec<Phase>, peaks: Peaks, is_linear: bool },
}

/// A stretch of a one-cycle schedule and the step at which it ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) end: f64,
    pub(crate) from: Level,
    pub(crate) to: Level,
}

/// A named value of a one-cycle schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    Initial,
    Peak,
    Final,
}

/// The values of a one-cycle schedule: its peak for each group, and what the others are of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peaks {
    pub(crate) values: Vec<f64>,
    pub(crate) initial_divisor: f64,
    pub(crate) final_divisor: f64,
}

impl Peaks {
    pub(crate) fn level(&self, level: Level, group: usize) -> f64 {
        let initial = self.values[group] / self.initial_divisor;
        match level {
            Level::Initial => initial,
            Level::Peak => self.values[group],
            Level::Final => initial / self.final_divisor,
        }
    }
}

/// What a rule sees of one group: the step counted from the schedule's begin, the value now, whoever set it, and the
/// one before any schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) t: i64,
    pub(crate) group: usize,
    pub(crate) current: f64,
    pub(crate) initial: f64,
}

impl Rule {
    /// The value of the group at this step.
    pub(crate) fn value(&self, at: At) -> f64 {
        let At { t, group, current, initial } = at;
        match self {
            Rule::Constant { factor, .. } if t == 0 => current * factor,
            Rule::Constant { factor, total } if t == *total => current * (1.0 / factor),
            Rule::Constant { .. } => current,
            Rule::Linear { start, end, total } => linear(t, current, (*start, *end), *total),
            Rule::MultiStep { milestones, gamma } => match milestones.get(&t) {
                Some(&times) => current * gamma.powf(f64::from(times)),
                None => current,
            },
            Rule::Step { size, gamma } if t != 0 && t % size == 0 => current * gamma,
            Rule::Step { .. } => current,
            Rule::Exponential { gamma } if t != 0 => current * gamma,
            Rule::Exponential { .. } => current,
            Rule::Cosine { period, floor } => cosine(at, *period, floor.of(initial)),
            Rule::CosineRestart { periods, weights, floor } => {
                cosine_restart(at, (periods, weights), floor.of(initial))
            }
            Rule::Poly { .. } if t == 0 => current,
            Rule::Poly { floor, power, total } => {
                (current - floor) * (1.0 - 1.0 / (total - t + 1) as f64).powf(*power) + floor
            }
            Rule::QuadraticWarmup { total } => {
                let growth = initial * (2 * t + 1) as f64 / (total * total) as f64;
                if t == 0 { growth } else { current + growth }
            }
            Rule::OneCycle { phases, peaks, is_linear } => {
                let level = |level| peaks.level(level, group);
                one_cycle(t, phases, (level, *is_linear))
            }
        }
    }
}

fn linear(t: i64, current: f64, (start, end): (f64, f64), total: i64) -> f64 {
    if t == 0 {
        return current * start;
    }
    current * (1.0 + (end - start) / (total as f64 * start + (t - 1) as f64 * (end - start)))
}

fn cosine(at: At, period: i64, floor: f64) -> f64 {
    let At { t, current, initial, .. } = at;
    if t == 0 {
        return current;
    }
    let length = period as f64;
    if (t - 1 - period).rem_euclid(2 * period) == 0 {
        return current + (initial - floor) * (1.0 - (PI / length).cos()) / 2.0;
    }
    cosine_ratio(t, length) * (current - floor) + floor
}

fn cosine_ratio(t: i64, length: f64) -> f64 {
    (1.0 + (PI * t as f64 / length).cos()) / (1.0 + (PI * (t - 1) as f64 / length).cos())
}

fn cosine_restart(at: At, (periods, weights): (&[i64], &[f64]), floor: f64) -> f64 {
    let At { t, current, initial, .. } = at;
    let mut start = 0;
    for (period, weight) in periods.iter().zip(weights) {
        if t < start + period {
            let step = t - start;
            if step == 0 {
                return initial * weight;
            }
            return cosine_ratio(step, *period as f64) * (current - floor) + floor;
        }
        start += period;
    }
    current
}

fn one_cycle(t: i64, phases: &[Phase], (level, is_linear): (impl Fn(Level) -> f64, bool)) -> f64 {
    let mut start = 0.0;
    for (index, phase) in phases.iter().enumerate() {
        if t as f64 <= phase.end || index + 1 == phases.len() {
            let share = (t as f64 - start) / (phase.end - start);
            let (from, to) = (level(phase.from), level(phase.to));
            return if is_linear {
                (to - from) * share + from
            } else {
                to + (from - to) / 2.0 * ((PI * share).cos() + 1.0)
            };
        }
        start = phase.end;
    }
    f64::NAN
}
