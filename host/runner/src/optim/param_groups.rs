//! The optimizer's groups as schedules see them, with the extra one that logs show as `base_lr`.
//! Knows nothing of tensors.

use serde_json::Value as Json;
use snaphook_optimizers::UpdateRule;
use snaphook_schedules::{ParamGroups, Quantity};

use super::OptimError;
use super::group::Group;

/// The groups of an optimizer.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    /// MMEngine's extra group with the optimizer's own values, which is scheduled along and logged as `base_lr`.
    pub(super) base: Option<Group>,
}

impl Groups {
    fn at(&self, index: usize) -> &Group {
        self.groups.get(index).or(self.base.as_ref()).expect("a group index below count")
    }

    fn at_mut(&mut self, index: usize) -> &mut Group {
        let group = self.groups.get_mut(index);
        group.or(self.base.as_mut()).expect("a group index below count")
    }

    pub(super) fn rule(&self) -> UpdateRule {
        self.groups[0].hyper.rule
    }

    /// Takes over saved groups; returns what was edited since.
    pub(super) fn load(&mut self, scalars: &Json) -> Result<Vec<String>, OptimError> {
        let malformed =
            || OptimError::Malformed { expected: "`groups`, with a group for each of ours".into() };
        let saved = scalars.get("groups").and_then(Json::as_array).ok_or_else(malformed)?;
        if saved.len() != self.groups.len() {
            let edit = format!("there were {} groups, are now {}", saved.len(), self.groups.len());
            return Ok(vec![edit]);
        }
        let mut edits = Vec::new();
        for (index, (group, saved)) in self.groups.iter_mut().zip(saved).enumerate() {
            let found = group.load(saved).ok_or_else(malformed)?;
            edits.extend(found.into_iter().map(|edit| format!("group {index}: {edit}")));
        }
        let base = scalars.get("base").filter(|saved| !saved.is_null());
        if let (Some(group), Some(saved)) = (&mut self.base, base) {
            group.load(saved).ok_or_else(malformed)?;
        }
        Ok(edits)
    }
}

impl ParamGroups for Groups {
    fn count(&self) -> usize {
        self.groups.len() + usize::from(self.base.is_some())
    }

    fn has(&self, quantity: Quantity) -> bool {
        self.rule().has(quantity)
    }

    fn value(&self, quantity: Quantity, group: usize) -> f64 {
        self.at(group).hyper.value(quantity)
    }

    fn set_value(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.at_mut(group).hyper.set_value(quantity, value);
    }

    fn initial(&self, quantity: Quantity, group: usize) -> Option<f64> {
        self.at(group).initial[quantity as usize]
    }

    fn set_initial(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.at_mut(group).initial[quantity as usize] = Some(value);
    }
}
