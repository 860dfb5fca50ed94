//! All schedules of a run, stepped together.
//! Knows nothing of loops: they say when an iteration or an epoch is over.

use serde_json::Value as Json;

use super::build::plan;
use super::scheduler::Scheduler;
use super::{ParamGroups, Quantity, ScheduleError};

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Iterations of the training loop, whether or not the optimizer stepped.
    Iteration,
    /// Epochs.
    Epoch,
}

/// How long the run is: defaults of `end`, and the factor of `convert_to_iter_based`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleContext {
    /// Epochs of the run; 1 in an iteration-based loop, as in MMEngine.
    pub max_epochs: u64,
    /// Iterations of the run.
    pub max_iters: u64,
    /// Iterations per epoch.
    pub epoch_length: u64,
}

/// What loading saved schedules found.
#[must_use = "edited schedules take effect by a replay"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedSchedules {
    /// The configuration is as it was; the counters are taken over.
    AsSaved,
    /// The configuration was edited. The counters are where they were started: call [`Schedules::replay`].
    Edited {
        /// What changed, a sentence each.
        changes: Vec<String>,
    },
}

/// The schedules of a run, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Schedules {
    schedulers: Vec<Scheduler>,
    /// The groups' values of scheduled quantities before the first schedule started.
    before: Vec<(Quantity, Vec<f64>)>,
    plans: Json,
    context: ScheduleContext,
}

impl Schedules {
    /// Builds the schedules of `param_scheduler`, a list, one object or null, and sets the first values.
    ///
    /// Values at iteration n (from 0) are those after n calls of [`Schedules::step`].
    ///
    /// Source: MMEngine 0.10.7 `runner/runner.py`, `_build_param_scheduler`.
    ///
    /// Errors: unknown types and keys, values out of range.
    pub fn build(
        config: &Json,
        context: ScheduleContext,
        groups: &mut dyn ParamGroups,
    ) -> Result<Schedules, ScheduleError> {
        let entries: &[Json] = match config {
            Json::Null => &[],
            Json::Array(entries) => entries,
            one => std::slice::from_ref(one),
        };
        let plans = entries.iter().map(|entry| plan(entry, context, groups.count()));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        let quantities = [Quantity::LearningRate, Quantity::Momentum, Quantity::WeightDecay];
        let scheduled = quantities.into_iter().filter(|quantity| plans.iter().any(|plan| plan.quantity == *quantity));
        let before = scheduled.map(|quantity| (quantity, values(groups, quantity))).collect();
        let schedulers = plans.into_iter().map(|plan| Scheduler::start(plan, groups)).collect();
        Ok(Schedules { schedulers, before, plans: config.clone(), context })
    }

    /// Tells the schedules of this unit that one is over.
    pub fn step(&mut self, unit: Unit, groups: &mut dyn ParamGroups) {
        for scheduler in self.schedulers.iter_mut().filter(|scheduler| scheduler.unit == unit) {
            scheduler.step(groups);
        }
    }

    /// How many schedules there are.
    pub fn len(&self) -> usize {
        self.schedulers.len()
    }

    /// Whether nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.schedulers.is_empty()
    }

    /// The counters, and what the schedules were built from, for a checkpoint.
    pub fn save(&self) -> Json {
        Json::Array(self.schedulers.iter().map(Scheduler::save).collect())
    }

    /// Takes over the counters of a checkpoint; the groups' values come with the optimizer's state.
    ///
    /// Differs from MMEngine, where the saved schedule silently replaces an edited one: here the edit is reported, and
    /// [`Schedules::replay`] makes it take effect.
    ///
    /// Errors: saved state of another form.
    pub fn load(&mut self, saved: &Json) -> Result<LoadedSchedules, ScheduleError> {
        let Some(entries) = saved.as_array() else {
            return Err(ScheduleError::Saved { expected: "a list".into(), found: saved.to_string() });
        };
        let changes = self.changes(entries);
        if !changes.is_empty() {
            return Ok(LoadedSchedules::Edited { changes });
        }
        for (scheduler, entry) in self.schedulers.iter_mut().zip(entries) {
            scheduler.load(entry).ok_or_else(|| ScheduleError::Saved {
                expected: format!("the counters of {} and one base value for each group", scheduler.name),
                found: entry.to_string(),
            })?;
        }
        Ok(LoadedSchedules::AsSaved)
    }

    /// Starts anew and goes through the iterations that the run already has, so that the groups get the values which
    /// these schedules would have given them by now.
    ///
    /// In an epoch-based loop an epoch ends after every `epoch_length` iterations; `epochs` of them are over.
    pub fn replay(&mut self, epochs: u64, iterations: u64, groups: &mut dyn ParamGroups) -> Result<(), ScheduleError> {
        for (quantity, values) in &self.before {
            for (group, &value) in values.iter().enumerate() {
                groups.set_value(*quantity, group, value);
                groups.set_initial(*quantity, group, value);
            }
        }
        let (config, context) = (self.plans.clone(), self.context);
        *self = Schedules::build(&config, context, groups)?;
        let mut epochs_over = 0;
        for iteration in 1..=iterations {
            self.step(Unit::Iteration, groups);
            if iteration % self.context.epoch_length.max(1) == 0 && epochs_over < epochs {
                self.step(Unit::Epoch, groups);
                epochs_over += 1;
            }
        }
        (epochs_over..epochs).for_each(|_| self.step(Unit::Epoch, groups));
        Ok(())
    }

    fn changes(&self, saved: &[Json]) -> Vec<String> {
        let mut changes = Vec::new();
        if saved.len() != self.schedulers.len() {
            changes.push(format!("{} schedulers were saved, {} are configured", saved.len(), self.schedulers.len()));
        }
        for (index, (scheduler, entry)) in self.schedulers.iter().zip(saved).enumerate() {
            if entry.get("settings") != Some(&scheduler.settings) {
                let was = entry.get("settings").unwrap_or(&Json::Null);
                changes.push(format!("scheduler {index}: was {was}, is now {}", scheduler.settings));
            }
        }
        changes
    }
}

fn values(groups: &dyn ParamGroups, quantity: Quantity) -> Vec<f64> {
    (0..groups.count()).map(|group| groups.value(quantity, group)).collect()
}
