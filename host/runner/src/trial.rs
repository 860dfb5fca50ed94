//! Trials that end after a moment: one short pass through everything, and what a single step costs.

use std::time::{Duration, Instant};

use snaphook_plugin_api::HookPoint;
use tch::no_grad;

use crate::loops::{self, step};
use crate::run::Run;
use crate::settings::EvalSettings;
use crate::{RunError, limit};

/// A run that only shows that everything works: so many batches of training, one validation, no checkpoint.
///
/// Source: `fast_dev_run` of Lightning's `Trainer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastRun {
    /// Batches of training, and of each validation set.
    pub batches: u64,
}

/// What a training step costs.
#[derive(Clone, Copy, Debug)]
pub struct StepCost {
    /// Until the first batch was there.
    pub first_batch: Duration,
    /// The first step, with everything that is set up on the way.
    pub first_step: Duration,
    /// The last of the steps.
    pub step: Duration,
    /// The most memory that this process has had so far; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
}

const STEPS: u64 = 3;

impl Run {
    /// Better now than after the first validation.
    pub(crate) fn check_metrics(&self) -> Result<(), RunError> {
        match (self.machine.metric_names(), &self.machine.schedules) {
            (Some(known), Some(schedules)) => Ok(schedules.check_metrics(&known)?),
            _ => Ok(()),
        }
    }

    /// What the start of a training finds wrong with schedules and built-in hooks, without a training. Hooks of plugins are
    /// not called: they may tell others that a run begins.
    ///
    /// Errors: a metric that no validation gives, arguments that do not fit the run.
    pub fn try_start(&mut self) -> Result<(), RunError> {
        self.machine.eval_settings = EvalSettings::from_config(&self.machine.config)?;
        self.check_metrics()?;
        self.dispatcher.leave_out_plugins(HookPoint::BeforeRun);
        self.call(HookPoint::BeforeRun)
    }

    /// Makes this run one that only shows that everything works. Call it before [`Run::train`].
    pub fn make_fast(&mut self, fast: FastRun) {
        let amount = limit::Amount::Batches(fast.batches);
        self.machine.task.limit(Some(amount), Some(amount));
        self.machine.fast = Some(fast);
    }

    /// Trains a few steps without calling any hook and without writing anything, to tell what they cost. The weights are
    /// not those of the start afterwards.
    ///
    /// Errors: as [`Run::train`]; the run must be prepared.
    pub fn try_steps(&mut self) -> Result<StepCost, RunError> {
        self.init_weights()?;
        self.machine.task.model.set_training(true);
        let began = Instant::now();
        step::on_data(self, |data| data.start_epoch(0, 0))?;
        let mut batch = step::next_batch(self)?;
        let first_batch = began.elapsed();
        let mut times = Vec::new();
        while let Some(found) = batch.take().filter(|_| times.len() < STEPS as usize) {
            let began = Instant::now();
            step::bare(self, found)?;
            times.push(began.elapsed());
            if let Some(signal) = self.machine.interrupt.signal() {
                return Err(RunError::Interrupted { signal });
            }
            batch = step::next_batch(self)?;
        }
        step::end_data(self)?;
        no_grad(|| loops::predict_one(self))?;
        let zero = Duration::ZERO;
        Ok(StepCost {
            first_batch,
            first_step: times.first().copied().unwrap_or(zero),
            step: times.last().copied().unwrap_or(zero),
            peak_memory_bytes: peak_memory(),
        })
    }
}

/// The process's largest resident set.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
