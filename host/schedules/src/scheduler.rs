//! One schedule at work: counts steps from -1 and changes the groups while it is within begin and end.
//! Knows nothing of configuration files or of other schedules.
//!
//! Source: MMEngine 0.10.7 `optim/scheduler/param_scheduler.py`, `_ParamScheduler`.

use serde_json::{Value as Json, json};

use crate::rule::{At, Rule};
use crate::{ParamGroups, Quantity, Unit};

/// A schedule with its counters.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    /// The type name in the configuration, without the part before a dot.
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Unit,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) rule: Rule,
    /// Everything that decides its values, after defaults and conversion; saved to notice an edited configuration.
    pub(crate) settings: Json,
    global_step: i64,
    last_step: i64,
    base_values: Vec<f64>,
}

/// What a schedule is, before it has begun to count.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Unit,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) rule: Rule,
    pub(crate) settings: Json,
}

impl Scheduler {
    /// Starts a schedule: records the initial values where no other has, and sets the first values.
    pub(crate) fn start(plan: Plan, groups: &mut dyn ParamGroups) -> Scheduler {
        let Plan { name, quantity, unit, begin, end, rule, settings } = plan;
        let base_values = record_initial(&rule, quantity, groups);
        let mut scheduler = Scheduler {
            name,
            quantity,
            unit,
            begin,
            end,
            rule,
            settings,
            global_step: -1,
            last_step: -1,
            base_values,
        };
        scheduler.step(groups);
        scheduler
    }

    /// Goes one step on; outside begin and end the values are left alone.
    pub(crate) fn step(&mut self, groups: &mut dyn ParamGroups) {
        self.global_step += 1;
        if !(self.begin..self.end).contains(&self.global_step) {
            return;
        }
        self.last_step += 1;
        for (group, &initial) in self.base_values.iter().enumerate() {
            let current = groups.value(self.quantity, group);
            let at = At { t: self.last_step, group, current, initial };
            groups.set_value(self.quantity, group, self.rule.value(at));
        }
    }

    pub(crate) fn save(&self) -> Json {
        json!({
            "type": self.name,
            "settings": self.settings,
            "global_step": self.global_step,
            "last_step": self.last_step,
            "base_values": self.base_values,
        })
    }

    /// Takes over saved counters; `None` when they are not there.
    pub(crate) fn load(&mut self, saved: &Json) -> Option<()> {
        let base_values: Option<Vec<f64>> =
            saved.get("base_values")?.as_array()?.iter().map(Json::as_f64).collect();
        let base_values = base_values.filter(|values| values.len() == self.base_values.len())?;
        self.global_step = saved.get("global_step")?.as_i64()?;
        self.last_step = saved.get("last_step")?.as_i64()?;
        self.base_values = base_values;
        Some(())
    }
}

fn record_initial(rule: &Rule, quantity: Quantity, groups: &mut dyn ParamGroups) -> Vec<f64> {
    (0..groups.count())
        .map(|group| {
            if let Rule::OneCycle { peaks, .. } = rule {
                groups.set_initial(
                    quantity,
                    group,
                    peaks.level(crate::rule::Level::Initial, group),
                );
            }
            let current = groups.value(quantity, group);
            groups.initial(quantity, group).unwrap_or_else(|| {
                groups.set_initial(quantity, group, current);
                current
            })
        })
        .collect()
}
