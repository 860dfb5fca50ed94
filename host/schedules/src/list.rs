//! All schedules of a run, stepped together.
//! Knows nothing of loops: they say when an iteration or an epoch is over.

use serde_json::{Map, Value as Json};

use crate::family::plan;
use crate::scheduler::Scheduler;
use crate::{ParamGroups, Quantity, ScheduleError};

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
    /// The groups' values before the first schedule started.
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
        let key = |index| match config {
            Json::Array(_) => format!("param_scheduler.{index}"),
            _ => "param_scheduler".to_owned(),
        };
        let settings = (context, groups.count());
        let plans = entries.iter().enumerate();
        let plans = plans.map(|(index, entry)| plan(&key(index), entry, settings));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        for (index, plan) in plans.iter().enumerate() {
            if !groups.has(plan.quantity) {
                let (key, what) = (key(index), plan.quantity.name());
                let message =
                    format!("{key}.type: {} drives {what}, and the optimizer has none", plan.name);
                return Err(ScheduleError::Settings(message));
            }
        }
        // Also of what no schedule drives: one that drove it in the run that is resumed may have been taken out.
        let there = Quantity::ALL.into_iter().filter(|quantity| groups.has(*quantity));
        let before = there.map(|quantity| (quantity, values(groups, quantity))).collect();
        let schedulers = plans.into_iter().map(|plan| Scheduler::start(plan, groups)).collect();
        Ok(Schedules { schedulers, before, plans: config.clone(), context })
    }

    /// Tells the schedules of this unit that one is over.
    pub fn step(&mut self, unit: Unit, groups: &mut dyn ParamGroups) {
        for scheduler in self.schedulers.iter_mut().filter(|scheduler| scheduler.plan.unit == unit)
        {
            scheduler.step(groups);
        }
    }

    /// Tells the schedules that follow a metric what a validation found.
    ///
    /// Errors: the metric is not among them.
    pub fn validated(
        &mut self,
        metrics: &Map<String, Json>,
        groups: &mut dyn ParamGroups,
    ) -> Result<(), ScheduleError> {
        for scheduler in &mut self.schedulers {
            scheduler.validated(metrics, groups)?;
        }
        Ok(())
    }

    /// Checks the metrics that schedules follow against those that validations will give.
    ///
    /// Errors: one is not among them.
    pub fn check_metrics(&self, known: &[String]) -> Result<(), ScheduleError> {
        let followed = self.schedulers.iter().filter_map(Scheduler::monitor);
        match followed.into_iter().find(|monitor| known.iter().all(|name| name != monitor)) {
            Some(monitor) => Err(ScheduleError::NoMetric {
                monitor: monitor.to_owned(),
                found: known.join(", "),
            }),
            None => Ok(()),
        }
    }

    /// Whether one follows a metric of the validation, so that its values cannot be known before.
    pub fn follow_a_metric(&self) -> bool {
        self.schedulers.iter().any(Scheduler::is_plateau)
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
    /// Errors: saved state of another form; an edit where a schedule follows a metric, which cannot be replayed.
    pub fn load(&mut self, saved: &Json) -> Result<LoadedSchedules, ScheduleError> {
        let Some(entries) = saved.as_array() else {
            return Err(ScheduleError::Saved {
                expected: "a list".into(),
                found: saved.to_string(),
            });
        };
        let changes = self.changes(entries);
        if !changes.is_empty() {
            let followed = |entry: &Json| entry.get("plateau").is_some();
            if self.schedulers.iter().any(Scheduler::is_plateau) || entries.iter().any(followed) {
                return Err(ScheduleError::EditedPlateau { changes: changes.join("; ") });
            }
            return Ok(LoadedSchedules::Edited { changes });
        }
        for (scheduler, entry) in self.schedulers.iter_mut().zip(entries) {
            scheduler.load(entry).ok_or_else(|| ScheduleError::Saved {
                expected: format!(
                    "the counters of {} and one base value for each group",
                    scheduler.plan.name
                ),
                found: entry.to_string(),
            })?;
        }
        Ok(LoadedSchedules::AsSaved)
    }

    /// Starts anew and goes through the iterations that the run already has, so that the groups get the values which
    /// these schedules would have given them by now.
    ///
    /// In an epoch-based loop an epoch ends after every `epoch_length` iterations; `epochs` of them are over.
    ///
    /// Errors: a schedule that follows a metric, of which nobody knows what it was.
    pub fn replay(
        &mut self,
        epochs: u64,
        iterations: u64,
        groups: &mut dyn ParamGroups,
    ) -> Result<(), ScheduleError> {
        if iterations > 0 && self.follow_a_metric() {
            let changes = "values of the optimizer, or none were saved".to_owned();
            return Err(ScheduleError::EditedPlateau { changes });
        }
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
            changes.push(format!(
                "{} schedulers were saved, {} are configured",
                saved.len(),
                self.schedulers.len()
            ));
        }
        for (index, (scheduler, entry)) in self.schedulers.iter().zip(saved).enumerate() {
            let is_same = entry.get("settings").is_some_and(|was| scheduler.is_built_from(was));
            if !is_same {
                let was = entry.get("settings").unwrap_or(&Json::Null);
                let name = &scheduler.plan.name;
                let what = differences(was, &scheduler.plan.settings);
                changes.push(format!("scheduler {index} ({name}): {what}"));
            } else if let Some((was, now)) = scheduler.other_groups(entry) {
                let name = &scheduler.plan.name;
                changes.push(format!(
                    "scheduler {index} ({name}): was for {was} parameter groups, is for {now}"
                ));
            }
        }
        changes
    }
}

/// What differs: `end was 2, is now 4`.
fn differences(was: &Json, now: &Json) -> String {
    let (Some(was), Some(now)) = (was.as_object(), now.as_object()) else {
        return format!("was {was}, is now {now}");
    };
    let mut names: Vec<&String> = was.keys().collect();
    names.extend(now.keys().filter(|name| !was.contains_key(*name)));
    let value = |map: &Map<String, Json>, name: &str| map.get(name).cloned().unwrap_or(Json::Null);
    let different = names.into_iter().filter(|name| was.get(*name) != now.get(*name));
    let told: Vec<String> = different
        .map(|name| format!("{name} was {}, is now {}", value(was, name), value(now, name)))
        .collect();
    told.join(", ")
}

fn values(groups: &dyn ParamGroups, quantity: Quantity) -> Vec<f64> {
    (0..groups.count()).map(|group| groups.value(quantity, group)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::GroupValues;

    fn context(max_epochs: u64, epoch_length: u64) -> ScheduleContext {
        ScheduleContext { max_epochs, max_iters: max_epochs * epoch_length, epoch_length }
    }

    fn iterate(
        schedules: &mut Schedules,
        groups: &mut GroupValues,
        (from, to, length): (u64, u64, u64),
    ) {
        for iteration in from..to {
            schedules.step(Unit::Iteration, groups);
            if (iteration + 1) % length == 0 {
                schedules.step(Unit::Epoch, groups);
            }
        }
    }

    /// The learning rate at every epoch.
    fn rates(config: Json, epochs: u64) -> Vec<f64> {
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let mut schedules = Schedules::build(&config, context(epochs, 1), &mut groups).unwrap();
        let mut rates = Vec::new();
        for _ in 0..epochs {
            rates.push(groups.learning_rate(0));
            schedules.step(Unit::Epoch, &mut groups);
        }
        rates
    }

    fn error(config: Json) -> String {
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        Schedules::build(&config, context(12, 10), &mut groups).unwrap_err().to_string()
    }

    const YOLOX: &str = r#"[
        {"type": "mmdet.QuadraticWarmupLR", "by_epoch": true, "begin": 0, "end": 5, "convert_to_iter_based": true},
        {"type": "CosineAnnealingLR", "eta_min": 0.0005, "begin": 5, "T_max": 285, "end": 285, "by_epoch": true,
         "convert_to_iter_based": true},
        {"type": "ConstantLR", "by_epoch": true, "factor": 1, "begin": 285, "end": 300}]"#;

    #[test]
    fn yolox_ends_short_of_its_least_rate() {
        let mut groups = GroupValues::new(&[0.01], 0.9, 0.0);
        let config = serde_json::from_str(YOLOX).unwrap();
        let mut schedules = Schedules::build(&config, context(300, 1849), &mut groups).unwrap();
        iterate(&mut schedules, &mut groups, (0, 300 * 1849 - 1, 1849));
        assert_eq!(format!("{:.8}", groups.learning_rate(0)), "0.00050721");
    }

    #[test]
    fn a_range_ends_one_step_before_end() {
        let found = rates(json!({"type": "LinearLR", "start_factor": 0.5, "end": 5}), 6);
        assert_eq!(found, [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]);
        let stuck = rates(json!({"type": "LinearLR", "start_factor": 0.5, "end": 1}), 3);
        assert_eq!(stuck, [0.5, 0.5, 0.5]);
    }

    #[test]
    fn the_end_of_the_run_is_the_default_end() {
        let found = rates(json!({"type": "PolyLR"}), 5);
        assert_eq!(found.last(), Some(&0.0));
        assert_eq!(rates(Json::Null, 2), [1.0, 1.0]);
    }

    #[test]
    fn an_interrupted_schedule_goes_on_as_if_it_had_not_been() {
        let config: Json = serde_json::from_str(YOLOX).unwrap();
        let mut groups = GroupValues::new(&[0.01, 0.02], 0.9, 0.0);
        let mut schedules = Schedules::build(&config, context(300, 2), &mut groups).unwrap();
        iterate(&mut schedules, &mut groups, (0, 101, 2));
        let text = schedules.save().to_string();
        let mut later = groups.clone();
        iterate(&mut schedules, &mut groups, (101, 600, 2));

        let mut fresh = GroupValues::new(&[0.01, 0.02], 0.9, 0.0);
        let mut resumed = Schedules::build(&config, context(300, 2), &mut fresh).unwrap();
        assert_eq!(
            resumed.load(&serde_json::from_str(&text).unwrap()),
            Ok(LoadedSchedules::AsSaved)
        );
        iterate(&mut resumed, &mut later, (101, 600, 2));
        assert_eq!(later.learning_rate(1).to_bits(), groups.learning_rate(1).to_bits());
    }

    #[test]
    fn an_edited_schedule_is_reported_and_takes_effect_by_replay() {
        let before = json!({"type": "MultiStepLR", "milestones": [8, 11]});
        let after = json!({"type": "MultiStepLR", "milestones": [2, 11]});
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let mut schedules = Schedules::build(&before, context(12, 10), &mut groups).unwrap();
        iterate(&mut schedules, &mut groups, (0, 40, 10));
        let saved = schedules.save();

        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let mut edited = Schedules::build(&after, context(12, 10), &mut groups).unwrap();
        let LoadedSchedules::Edited { changes } = edited.load(&saved).unwrap() else {
            panic!("the edit was missed")
        };
        assert!(changes[0].contains("[8,11]") && changes[0].contains("[2,11]"), "{changes:?}");
        edited.replay(4, 40, &mut groups).unwrap();
        assert_eq!(groups.learning_rate(0), 0.1);
        iterate(&mut edited, &mut groups, (40, 110, 10));
        assert_eq!(groups.learning_rate(0), 0.1 * 0.1);
    }

    #[test]
    fn a_longer_run_counts_as_an_edit() {
        let config = json!({"type": "CosineAnnealingLR"});
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let saved = Schedules::build(&config, context(10, 1), &mut groups).unwrap().save();
        let mut longer = Schedules::build(&config, context(20, 1), &mut groups).unwrap();
        assert!(matches!(longer.load(&saved), Ok(LoadedSchedules::Edited { .. })));
    }

    #[test]
    fn wrong_settings_are_named() {
        let unknown = error(json!({"type": "MultiStepLr", "milestones": [1]}));
        assert!(unknown.contains("did you mean `MultiStepLR`?"), "{unknown}");
        let key = error(
            json!([{"type": "StepLR", "step_size": 1}, {"type": "MultiStepLR", "milestone": [1]}]),
        );
        assert!(
            key.starts_with("param_scheduler.1.milestone: expected one of milestones, "),
            "{key}"
        );
        assert!(key.contains("did you mean 'milestones'?"), "{key}");
        let zero = error(json!({"type": "LinearLR", "start_factor": 0}));
        assert_eq!(
            zero,
            "param_scheduler.start_factor: expected a number above 0, at most 1, found 0.0"
        );
        let span = error(json!({"type": "LinearLR", "begin": 20}));
        assert!(span.ends_with("end: expected a step above begin (20), found 12"), "{span}");
        let converted =
            error(json!({"type": "LinearLR", "by_epoch": false, "convert_to_iter_based": true}));
        assert!(converted.contains("convert_to_iter_based"), "{converted}");
        let endless = error(json!({"type": "QuadraticWarmupLR", "end": 1_000_000_000}));
        assert!(endless.contains("param_scheduler.end: expected the step at which"), "{endless}");
        let both =
            error(json!({"type": "CosineAnnealingLR", "eta_min": 0.1, "eta_min_ratio": 0.1}));
        assert!(both.contains("together with one for eta_min"), "{both}");
    }

    const PLATEAU: &str =
        r#"{"type": "ReduceOnPlateauLR", "monitor": "loss", "patience": 1, "factor": 0.5}"#;

    fn validate(schedules: &mut Schedules, groups: &mut GroupValues, losses: &[f64]) {
        for loss in losses {
            schedules.step(Unit::Epoch, groups);
            let metrics = Map::from_iter([("loss".to_owned(), json!(loss))]);
            schedules.validated(&metrics, groups).unwrap();
        }
    }

    #[test]
    fn a_plateau_counts_on_after_a_resume() {
        let config: Json = serde_json::from_str(PLATEAU).unwrap();
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let mut schedules = Schedules::build(&config, context(9, 1), &mut groups).unwrap();
        validate(&mut schedules, &mut groups, &[1.0, 0.5, 0.6]);
        let mut resumed = Schedules::build(&config, context(9, 1), &mut groups.clone()).unwrap();
        let text = schedules.save().to_string();
        let saved = serde_json::from_str(&text).unwrap();
        assert_eq!(resumed.load(&saved), Ok(LoadedSchedules::AsSaved));
        assert_eq!(groups.learning_rate(0), 1.0);
        validate(&mut resumed, &mut groups, &[0.7]);
        assert_eq!(groups.learning_rate(0), 0.5);
    }

    #[test]
    fn an_edit_beside_a_plateau_is_refused() {
        let config: Json = serde_json::from_str(PLATEAU).unwrap();
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let saved = Schedules::build(&config, context(9, 1), &mut groups).unwrap().save();
        let mut longer = Schedules::build(&config, context(20, 1), &mut groups).unwrap();
        assert_eq!(longer.load(&saved), Ok(LoadedSchedules::AsSaved));
        let edited: Json = serde_json::from_str(&PLATEAU.replace("0.5", "0.1")).unwrap();
        let mut edited = Schedules::build(&edited, context(9, 1), &mut groups).unwrap();
        let message = edited.load(&saved).unwrap_err().to_string();
        assert!(
            message.contains("cannot be replayed") && message.contains("load_from"),
            "{message}"
        );
    }

    #[test]
    fn a_metric_that_is_not_a_number_is_never_better_and_a_missing_one_is_named() {
        let config: Json = serde_json::from_str(PLATEAU).unwrap();
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let mut schedules = Schedules::build(&config, context(9, 1), &mut groups).unwrap();
        validate(&mut schedules, &mut groups, &[1.0, f64::NAN, f64::NAN]);
        assert_eq!(groups.learning_rate(0), 0.5);
        let metrics = Map::from_iter([("mAP".to_owned(), json!(0.5))]);
        let message = schedules.validated(&metrics, &mut groups).unwrap_err().to_string();
        assert!(message.contains("expected the metric `loss`, found mAP"), "{message}");
    }

    #[test]
    fn a_default_that_is_written_out_is_no_edit() {
        let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
        let short = json!({"type": "StepLR", "step_size": 2});
        let long = json!([{"type": "StepLR", "step_size": 2, "gamma": 0.1, "by_epoch": true, "verbose": true}]);
        let saved = Schedules::build(&short, context(9, 1), &mut groups).unwrap().save();
        let mut same = Schedules::build(&long, context(9, 1), &mut groups).unwrap();
        assert_eq!(same.load(&saved), Ok(LoadedSchedules::AsSaved));
    }
}
