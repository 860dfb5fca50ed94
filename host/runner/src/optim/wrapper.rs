//! The optimizer as a training loop uses it: `optim_wrapper` of the configuration at work.
//! Knows nothing of losses, hooks or files.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/optimizer_wrapper.py`.

use std::collections::HashSet;

use serde_json::{Value as Json, json};
use tch::{Tensor, no_grad};

use super::algorithm::{Algorithm, Scratch, is_trainable};
use super::bucket::Bucket;
use super::clip::{ClipGrad, total_norm};
use super::group::{Group, OptimizerConfig, read_optimizer};
use super::paramwise::Paramwise;
use super::saved::{self, LoadedOptimizer, OptimState};
use super::OptimError;
use crate::schedule::{Kwargs, ParamGroups, Quantity, did_you_mean};
use crate::state::{Entry, ModelState};

/// An optimizer with clipping and accumulation.
///
/// One iteration: [`scale_loss`](Self::scale_loss), backward, and where [`is_due`](Self::is_due),
/// [`clip`](Self::clip), [`step`](Self::step), [`zero_grad`](Self::zero_grad).
///
/// Building it moves the values of all trained parameters into long tensors; the model's tensors become contiguous views
/// of them, with the same values. Gradients are zeroed, never removed: a parameter that took part once and then does
/// not is still decayed and moved by its momentum, as with PyTorch's `zero_grad(set_to_none=False)`; one that never took
/// part is left alone.
#[derive(Debug)]
pub struct OptimWrapper {
    algorithm: Algorithm,
    slot_names: &'static [&'static str],
    groups: Vec<Group>,
    /// MMEngine's extra group with the optimizer's own values, which is scheduled along and logged as `base_lr`.
    base: Option<Group>,
    buckets: Vec<Bucket>,
    scratch: Scratch,
    clip: Option<ClipGrad>,
    accumulative_counts: u64,
    is_captured: bool,
}

impl OptimWrapper {
    /// Builds the `optim_wrapper` of a configuration for the parameters of a model that require gradients.
    ///
    /// Errors: unknown types and keys, values out of range, nothing to train.
    pub fn build(config: &Json, state: &ModelState) -> Result<OptimWrapper, OptimError> {
        let kwargs = Kwargs::of("optim_wrapper", config)?;
        check_wrapper_type(&kwargs)?;
        let optimizer = kwargs.raw("optimizer").ok_or_else(|| kwargs.missing("optimizer", "an object with a type"))?;
        let optimizer = read_optimizer(optimizer)?;
        let rules = Paramwise::read(kwargs.raw("paramwise_cfg"), &optimizer)?;
        let clip = kwargs.raw("clip_grad").map(ClipGrad::read).transpose()?;
        let accumulative_counts = kwargs.positive_integer("accumulative_counts", 1)? as u64;
        kwargs.accept(&["constructor"]);
        kwargs.finish()?;

        let parameters = trained(state);
        let (groups, assignment) = make_groups(&parameters, &rules, &optimizer)?;
        let slot_names = optimizer.algorithm.slots(&optimizer.hyper);
        let base = (!rules.is_empty() && parameters.len() > 1).then(|| Group::new(optimizer.hyper));
        let buckets = no_grad(|| make_buckets(&parameters, &assignment, slot_names.len()));
        Ok(OptimWrapper {
            algorithm: optimizer.algorithm,
            slot_names,
            groups,
            base,
            buckets,
            scratch: Scratch::default(),
            clip,
            accumulative_counts,
            is_captured: false,
        })
    }

    /// The groups; logs show the learning rate of the first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The learning rate that logs show as `base_lr`, which they do with a `paramwise_cfg` only.
    pub fn base_lr(&self) -> Option<f64> {
        self.base.as_ref().map(Group::lr)
    }

    /// Sets a number of a group: `lr`, `momentum` (Adam's first beta) or `weight_decay`.
    ///
    /// SGD built without momentum has no buffers for it and ignores the value.
    ///
    /// Errors: no such group or number.
    pub fn set(&mut self, group: usize, name: &str, value: f64) -> Result<(), OptimError> {
        let quantities = [Quantity::LearningRate, Quantity::Momentum, Quantity::WeightDecay];
        let quantity = quantities.into_iter().find(|quantity| quantity.name() == name);
        match (quantity, self.groups.get_mut(group)) {
            (Some(quantity), Some(group)) => {
                group.set_value(quantity, value);
                Ok(())
            }
            (None, _) => Err(OptimError::UnknownValue { name: name.to_owned() }),
            (_, None) => Err(OptimError::UnknownGroup { index: group, count: self.groups.len() }),
        }
    }

    /// Multiplies all learning rates, as `auto_scale_lr` does; call it before schedules are built.
    pub fn scale_learning_rates(&mut self, factor: f64) {
        for group in &mut self.groups {
            group.hyper.learning_rate *= factor;
            group.configured.learning_rate *= factor;
        }
    }

    /// Iterations whose gradients are added up for one update.
    pub fn accumulative_counts(&self) -> u64 {
        self.accumulative_counts
    }

    /// The loss divided by the number of iterations that this update adds up, fewer in the last window of a run.
    ///
    /// `iter` is this iteration, counted from 0 over the whole run.
    pub fn scale_loss(&self, loss: &Tensor, iter: u64, max_iters: u64) -> Tensor {
        let remainder = max_iters % self.accumulative_counts;
        let is_full = iter < max_iters - remainder;
        match if is_full { self.accumulative_counts } else { remainder.max(1) } {
            1 => loss.shallow_clone(),
            window => loss / window as f64,
        }
    }

    /// Whether the gradients so far are to be used after the backward pass of iteration `iter`, counted from 0; if not,
    /// ranks need not exchange gradients in it.
    pub fn is_due(&self, iter: u64, max_iters: u64) -> bool {
        (iter + 1).is_multiple_of(self.accumulative_counts) || iter + 1 == max_iters
    }

    /// Clips gradients as `clip_grad` says; returns their norm before it, if that is by norm.
    ///
    /// The norm is a tensor on the parameters' device; nothing waits for it until it is read.
    pub fn clip(&mut self) -> Option<Tensor> {
        self.ensure_captured();
        let clip = self.clip?;
        no_grad(|| clip.apply(&self.buckets))
    }

    /// The norm of all gradients, of order 2; `None` before the first backward pass.
    pub fn gradient_norm(&mut self) -> Option<Tensor> {
        self.ensure_captured();
        no_grad(|| total_norm(self.buckets.iter().filter(|bucket| bucket.has_gradients()), 2.0))
    }

    /// Updates all parameters that have gradients.
    pub fn step(&mut self) {
        self.ensure_captured();
        no_grad(|| {
            for bucket in &mut self.buckets {
                let hyper = &self.groups[bucket.group].hyper;
                bucket.update(self.algorithm, hyper, &mut self.scratch);
            }
        });
    }

    /// Sets all gradients to zero.
    pub fn zero_grad(&mut self) {
        self.ensure_captured();
        no_grad(|| self.buckets.iter_mut().for_each(Bucket::zero_gradients));
        self.is_captured = false;
    }

    /// A copy of everything that a checkpoint needs, by parameter name.
    pub fn save(&self) -> OptimState {
        let scalars = json!({
            "type": self.algorithm.name(),
            "groups": self.groups.iter().map(Group::save).collect::<Vec<_>>(),
            "base": self.base.as_ref().map(Group::save),
            "steps": saved::save_steps(&self.buckets),
        });
        OptimState { scalars, tensors: no_grad(|| saved::save_tensors(&self.buckets, self.slot_names)) }
    }

    /// Takes over the state of a checkpoint; nothing changes unless all of it fits.
    ///
    /// Differs from MMEngine, where saved settings silently replace edited ones: here an edited setting of the
    /// configuration holds and is reported.
    ///
    /// Errors: another optimizer; parameters missing, unexpected or of another shape.
    pub fn load(&mut self, saved: &OptimState) -> Result<LoadedOptimizer, OptimError> {
        let found = saved.scalars.get("type").and_then(Json::as_str).unwrap_or("nothing");
        if found != self.algorithm.name() {
            let expected = self.algorithm.name().to_owned();
            return Err(OptimError::OtherOptimizer { expected, found: found.to_owned() });
        }
        let mut groups = self.groups.clone();
        let mut base = self.base.clone();
        let edits = load_groups(&mut groups, &mut base, &saved.scalars)?;
        no_grad(|| saved::load(&mut self.buckets, self.slot_names, saved))?;
        (self.groups, self.base) = (groups, base);
        Ok(LoadedOptimizer { edits })
    }

    fn ensure_captured(&mut self) {
        if !self.is_captured {
            no_grad(|| self.buckets.iter_mut().for_each(Bucket::capture_gradients));
            self.is_captured = true;
        }
    }
}

impl ParamGroups for OptimWrapper {
    fn count(&self) -> usize {
        self.groups.len() + usize::from(self.base.is_some())
    }

    fn value(&self, quantity: Quantity, group: usize) -> f64 {
        self.group(group).value(quantity)
    }

    fn set_value(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.group_mut(group).set_value(quantity, value);
    }

    fn initial(&self, quantity: Quantity, group: usize) -> Option<f64> {
        self.group(group).initial[quantity as usize]
    }

    fn set_initial(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.group_mut(group).initial[quantity as usize] = Some(value);
    }
}

impl OptimWrapper {
    fn group(&self, index: usize) -> &Group {
        self.groups.get(index).or(self.base.as_ref()).expect("a group index below count")
    }

    fn group_mut(&mut self, index: usize) -> &mut Group {
        self.groups.get_mut(index).or(self.base.as_mut()).expect("a group index below count")
    }
}

fn check_wrapper_type(kwargs: &Kwargs<'_>) -> Result<(), OptimError> {
    let name = kwargs.text("type")?.unwrap_or("OptimWrapper");
    if name == "OptimWrapper" || name.ends_with(".OptimWrapper") {
        return Ok(());
    }
    let hint = did_you_mean(name, ["OptimWrapper"]);
    Err(OptimError::UnknownType { what: "wrapper", name: name.to_owned(), hint, known: "OptimWrapper".into() })
}

/// Parameters that require gradients, each tensor once.
fn trained(state: &ModelState) -> Vec<&Entry> {
    let mut seen = HashSet::new();
    state
        .parameters()
        .filter(|entry| entry.tensor.requires_grad() && is_trainable(entry.tensor.kind()))
        .filter(|entry| entry.tensor.numel() == 0 || seen.insert(entry.tensor.data_ptr() as usize))
        .collect()
}

fn make_groups(
    parameters: &[&Entry],
    rules: &Paramwise,
    optimizer: &OptimizerConfig,
) -> Result<(Vec<Group>, Vec<usize>), OptimError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut assignment = Vec::with_capacity(parameters.len());
    for entry in parameters {
        let alone = rules.group_of(entry, optimizer)?;
        let index = groups.iter().position(|group| group.trains_like(&alone)).unwrap_or_else(|| {
            groups.push(alone);
            groups.len() - 1
        });
        groups[index].parameters.push(entry.name.clone());
        assignment.push(index);
    }
    if groups.is_empty() { Err(OptimError::NoParameters) } else { Ok((groups, assignment)) }
}

fn make_buckets(parameters: &[&Entry], assignment: &[usize], slot_count: usize) -> Vec<Bucket> {
    let mut lists: Vec<(_, Vec<(String, Tensor)>)> = Vec::new();
    for (entry, &group) in parameters.iter().zip(assignment) {
        let key = (group, entry.tensor.kind(), entry.tensor.device());
        let item = (entry.name.clone(), entry.tensor.shallow_clone());
        match lists.iter_mut().find(|(other, _)| *other == key) {
            Some((_, list)) => list.push(item),
            None => lists.push((key, vec![item])),
        }
    }
    lists.into_iter().map(|((group, ..), list)| Bucket::new(group, list, slot_count)).collect()
}

fn load_groups(groups: &mut [Group], base: &mut Option<Group>, scalars: &Json) -> Result<Vec<String>, OptimError> {
    let expected = format!("{} groups with values", groups.len());
    let malformed = || OptimError::Malformed { expected: expected.clone() };
    let saved = scalars.get("groups").and_then(Json::as_array).ok_or_else(malformed)?;
    if saved.len() != groups.len() {
        return Ok(vec![format!("{} groups were saved, there are {} now", saved.len(), groups.len())]);
    }
    let mut edits = Vec::new();
    for (index, (group, saved)) in groups.iter_mut().zip(saved).enumerate() {
        let found = group.load(saved).ok_or_else(malformed)?;
        edits.extend(found.into_iter().map(|edit| format!("group {index}: {edit}")));
    }
    if let (Some(base), Some(saved)) = (base, scalars.get("base").filter(|saved| !saved.is_null())) {
        base.load(saved).ok_or_else(malformed)?;
    }
    Ok(edits)
}
