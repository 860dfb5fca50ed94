//! One schedule at work: counts steps from -1 and changes the groups while it is within begin and end.
//! Knows nothing of configuration files or of other schedules.
//!
//! Source: MMEngine 0.10.7 `optim/scheduler/param_scheduler.py`, `_ParamScheduler`.

use serde_json::{Map, Value as Json, json};

use crate::plateau::{self, PlateauState};
use crate::rule::{At, Level, Rule};
use crate::settings::Law;
use crate::{ParamGroups, Quantity, ScheduleError, Unit};

/// What a schedule is, before it has begun to count.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The type name in the configuration, without the part before a dot.
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Unit,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) scale: i64,
    pub(crate) law: Law,
    /// Everything that decides its values, after defaults and conversion; saved to notice an edited configuration.
    pub(crate) settings: Json,
}

/// A schedule with its counters.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    pub(crate) plan: Plan,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Counted { global_step: i64, last_step: i64, base_values: Vec<f64> },
    Plateau(PlateauState),
}

impl Scheduler {
    /// Starts a schedule: records the initial values where no other has, and sets the first values.
    pub(crate) fn start(plan: Plan, groups: &mut dyn ParamGroups) -> Scheduler {
        let base_values = record_initial(&plan, groups);
        let state = match &plan.law {
            Law::Rule(_) => State::Counted { global_step: -1, last_step: -1, base_values },
            Law::Plateau(plateau) => State::Plateau(PlateauState::new(plateau)),
        };
        let mut scheduler = Scheduler { plan, state };
        if matches!(scheduler.plan.law, Law::Rule(_)) {
            scheduler.step(groups);
        }
        scheduler
    }

    /// Goes one step on; outside begin and end the values are left alone.
    pub(crate) fn step(&mut self, groups: &mut dyn ParamGroups) {
        let plan = &self.plan;
        match (&mut self.state, &plan.law) {
            (State::Plateau(state), _) => state.count_epoch(),
            (State::Counted { global_step, last_step, base_values }, Law::Rule(rule)) => {
                *global_step += 1;
                if !(plan.begin..plan.end).contains(global_step) {
                    return;
                }
                *last_step += 1;
                for (group, &initial) in base_values.iter().enumerate() {
                    let current = groups.value(plan.quantity, group);
                    let at = At { t: *last_step, group, current, initial };
                    groups.set_value(plan.quantity, group, rule.value(at));
                }
            }
            (State::Counted { .. }, Law::Plateau(_)) => {}
        }
    }

    /// Takes in the metrics of a validation, if this follows one.
    pub(crate) fn validated(
        &mut self,
        metrics: &Map<String, Json>,
        groups: &mut dyn ParamGroups,
    ) -> Result<(), ScheduleError> {
        let (State::Plateau(state), Law::Plateau(plateau)) = (&mut self.state, &self.plan.law)
        else {
            return Ok(());
        };
        if state.validated(plateau, (self.plan.begin, self.plan.end), metrics)? {
            plateau::reduce(plateau, self.plan.quantity, groups);
        }
        Ok(())
    }

    /// Whether it follows a metric, which cannot be replayed.
    pub(crate) fn is_plateau(&self) -> bool {
        self.monitor().is_some()
    }

    /// The metric that it follows.
    pub(crate) fn monitor(&self) -> Option<&str> {
        match &self.plan.law {
            Law::Plateau(plateau) => Some(&plateau.monitor),
            _ => None,
        }
    }

    /// Whether these settings, which a checkpoint has, mean the same until now. Where one that follows a metric ends does
    /// not matter: nothing before was another one for it, and a run may go on for longer.
    pub(crate) fn is_built_from(&self, settings: &Json) -> bool {
        let without_end = |settings: &Json| {
            let mut settings = settings.clone();
            settings.as_object_mut().map(|map| map.remove("end"));
            settings
        };
        match self.is_plateau() {
            true => without_end(settings) == without_end(&self.plan.settings),
            false => *settings == self.plan.settings,
        }
    }

    pub(crate) fn save(&self) -> Json {
        let mut saved = json!({ "type": self.plan.name, "settings": self.plan.settings });
        match &self.state {
            State::Counted { global_step, last_step, base_values } => {
                saved["global_step"] = json!(global_step);
                saved["last_step"] = json!(last_step);
                saved["base_values"] = json!(base_values);
            }
            State::Plateau(state) => saved["plateau"] = state.save(),
        }
        saved
    }

    /// The number of groups that it was saved for, and its own, where they differ.
    pub(crate) fn other_groups(&self, saved: &Json) -> Option<(usize, usize)> {
        let State::Counted { base_values, .. } = &self.state else { return None };
        let was = saved.get("base_values")?.as_array()?.len();
        (was != base_values.len()).then_some((was, base_values.len()))
    }

    /// Takes over saved counters; `None` when they are not there.
    pub(crate) fn load(&mut self, saved: &Json) -> Option<()> {
        match &mut self.state {
            State::Plateau(state) => *state = PlateauState::load(saved.get("plateau")?)?,
            State::Counted { global_step, last_step, base_values } => {
                let values: Option<Vec<f64>> =
                    saved.get("base_values")?.as_array()?.iter().map(Json::as_f64).collect();
                let values = values.filter(|values| values.len() == base_values.len())?;
                let count = |key: &str| saved.get(key)?.as_i64();
                let (global, last) = (count("global_step")?, count("last_step")?);
                (*global_step, *last_step, *base_values) = (global, last, values);
            }
        }
        Some(())
    }
}

fn record_initial(plan: &Plan, groups: &mut dyn ParamGroups) -> Vec<f64> {
    let quantity = plan.quantity;
    (0..groups.count())
        .map(|group| {
            if let Law::Rule(Rule::OneCycle { peaks, .. }) = &plan.law {
                groups.set_initial(quantity, group, peaks.level(Level::Initial, group));
            }
            let current = groups.value(quantity, group);
            groups.initial(quantity, group).unwrap_or_else(|| {
                groups.set_initial(quantity, group, current);
                current
            })
        })
        .collect()
}
