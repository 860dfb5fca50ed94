//! The optimizer as a training loop uses it: `optim_wrapper` of the configuration at work.
//! Knows nothing of losses, hooks or files.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/optimizer_wrapper.py`.

use std::collections::HashSet;

use serde_json::{Value as Json, json};
use tch::{Tensor, no_grad};

use super::OptimError;
use super::algorithm::{Algorithm, Scratch, is_trainable};
use super::bucket::Bucket;
use super::clip::{ClipGrad, total_norm};
use super::group::{Group, OptimizerConfig, read_optimizer};
use super::paramwise::Paramwise;
use super::saved::{self, LoadedOptimizer, OptimState};
use crate::state::{Entry, ModelState};
use snaphook_schedules::{Kwargs, ParamGroups, Quantity, did_you_mean};

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
        let optimizer = kwargs
            .raw("optimizer")
            .ok_or_else(|| kwargs.missing("optimizer", "an object with a type"))?;
        let optimizer = read_optimizer(optimizer)?;
        let rules = Paramwise::read(kwargs.raw("paramwise_cfg"), &optimizer)?;
        let clip = kwargs.raw("clip_grad").map(ClipGrad::read).transpose()?;
        let accumulative_counts = kwargs.positive_integer("accumulative_counts", 1)? as u64;
        kwargs.accept(&["constructor"]);
        kwargs.finish()?;

        let parameters = trained(state);
        let (groups, assignment) = make_groups(&parameters, &rules, &optimizer)?;
        let slot_names = optimizer.algorithm.slots(groups.iter().map(|group| &group.hyper));
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

    /// What a checkpoint needs beside the tensors.
    pub fn save_scalars(&self) -> Json {
        json!({
            "type": self.algorithm.name(),
            "groups": self.groups.iter().map(Group::save).collect::<Vec<_>>(),
            "base": self.base.as_ref().map(Group::save),
            "steps": saved::save_steps(&self.buckets),
        })
    }

    /// A copy of everything that a checkpoint needs, by parameter name.
    pub fn save(&self) -> OptimState {
        OptimState {
            scalars: self.save_scalars(),
            tensors: no_grad(|| saved::save_tensors(&self.buckets, self.slot_names)),
        }
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
    Err(OptimError::UnknownType {
        what: "wrapper",
        name: name.to_owned(),
        hint,
        known: "OptimWrapper".into(),
    })
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
        let index =
            groups.iter().position(|group| group.trains_like(&alone)).unwrap_or_else(|| {
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

fn load_groups(
    groups: &mut [Group],
    base: &mut Option<Group>,
    scalars: &Json,
) -> Result<Vec<String>, OptimError> {
    let expected = format!("{} groups with values", groups.len());
    let malformed = || OptimError::Malformed { expected: expected.clone() };
    let saved = scalars.get("groups").and_then(Json::as_array).ok_or_else(malformed)?;
    if saved.len() != groups.len() {
        return Ok(vec![format!(
            "{} groups were saved, there are {} now",
            saved.len(),
            groups.len()
        )]);
    }
    let mut edits = Vec::new();
    for (index, (group, saved)) in groups.iter_mut().zip(saved).enumerate() {
        let found = group.load(saved).ok_or_else(malformed)?;
        edits.extend(found.into_iter().map(|edit| format!("group {index}: {edit}")));
    }
    if let (Some(base), Some(saved)) = (base, scalars.get("base").filter(|saved| !saved.is_null()))
    {
        base.load(saved).ok_or_else(malformed)?;
    }
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::state::{Layer, Scope};

    const CONVOLUTION: Layer = Layer::Convolution { in_channels: 3, groups: 1 };

    /// A convolution without bias, its norm, and a bias of another layer; values from a fixed seed.
    fn model() -> ModelState {
        let root = Scope::root(Device::Cpu);
        let parameters = [
            root.child("conv").parameter("weight", &[4, 3, 2, 2], CONVOLUTION),
            root.child("bn").parameter("weight", &[4], Layer::Norm),
            root.child("bn").parameter("bias", &[4], Layer::Norm),
            root.child("head").parameter("bias", &[5], Layer::Other),
        ];
        for (seed, parameter) in parameters.iter().enumerate() {
            no_grad(|| parameter.detach().copy_(&numbers(seed as f64, parameter)));
        }
        root.finish()
    }

    /// Reproducible numbers in the shape of `like`.
    fn numbers(seed: f64, like: &Tensor) -> Tensor {
        let count = like.numel() as i64;
        (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 1.7 + seed).sin().reshape(like.size())
    }

    fn backward(state: &ModelState, seed: f64) {
        for (index, entry) in state.parameters().enumerate() {
            (&entry.tensor * numbers(seed + index as f64, &entry.tensor)).sum(None).backward();
        }
    }

    fn train(optim: &mut OptimWrapper, state: &ModelState, steps: std::ops::Range<u32>) {
        for step in steps {
            backward(state, f64::from(step));
            optim.clip();
            optim.step();
            optim.zero_grad();
        }
    }

    fn values(state: &ModelState) -> Vec<f32> {
        let flat: Vec<Tensor> =
            state.parameters().map(|entry| entry.tensor.detach().reshape([-1])).collect();
        Vec::try_from(Tensor::cat(&flat, 0)).unwrap()
    }

    fn build(config: &Json, state: &ModelState) -> OptimWrapper {
        OptimWrapper::build(config, state).unwrap()
    }

    /// What libtorch's own optimizer makes of the same model and gradients.
    fn by_libtorch(mut optimizer: tch::COptimizer, steps: u32) -> Vec<f32> {
        let state = model();
        for entry in state.parameters() {
            optimizer.add_parameters(&entry.tensor, 0).unwrap();
        }
        for step in 0..steps {
            optimizer.zero_grad().unwrap();
            backward(&state, f64::from(step));
            optimizer.step().unwrap();
        }
        values(&state)
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            // A few roundings of numbers near 1: a product and a sum may be fused on one side.
            assert!((found - expected).abs() <= 4.0 * f32::EPSILON, "{found} {expected}");
        }
    }

    #[test]
    fn sgd_equals_libtorch() {
        for (nesterov, dampening) in [(false, 0.0), (true, 0.0), (false, 0.3)] {
            let reference = tch::COptimizer::sgd(0.1, 0.9, dampening, 5e-4, nesterov).unwrap();
            let state = model();
            let config = json!({"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
                "nesterov": nesterov, "dampening": dampening}});
            train(&mut build(&config, &state), &state, 0..5);
            assert_close(&values(&state), &by_libtorch(reference, 5));
        }
    }

    #[test]
    fn plain_sgd_moves_against_the_gradient() {
        let state = model();
        let before = values(&state);
        let mut optim = build(&json!({"optimizer": {"type": "SGD", "lr": 0.5}}), &state);
        train(&mut optim, &state, 0..1);
        assert_close(&values(&state)[..1], &[before[0] - 0.5 * 0f32.sin()]);
        assert!(optim.save().tensors.is_empty());
    }

    #[test]
    fn adam_and_adamw_equal_libtorch() {
        for amsgrad in [false, true] {
            let references = [
                ("Adam", tch::COptimizer::adam(0.01, 0.9, 0.99, 0.02, 1e-8, amsgrad).unwrap()),
                ("AdamW", tch::COptimizer::adamw(0.01, 0.9, 0.99, 0.02, 1e-8, amsgrad).unwrap()),
            ];
            for (name, reference) in references {
                let state = model();
                let config = json!({"optimizer": {"type": name, "lr": 0.01, "betas": [0.9, 0.99],
                    "weight_decay": 0.02, "amsgrad": amsgrad}});
                train(&mut build(&config, &state), &state, 0..5);
                assert_close(&values(&state), &by_libtorch(reference, 5));
            }
        }
    }

    #[test]
    fn norms_and_biases_get_their_own_decay() {
        let config = json!({
            "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01},
            "paramwise_cfg": {"norm_decay_mult": 0.0, "bias_decay_mult": 0.5, "bias_lr_mult": 2.0},
        });
        let optim = build(&config, &model());
        let groups: Vec<_> = optim
            .groups()
            .iter()
            .map(|group| (group.lr(), group.weight_decay(), group.parameters().to_vec()))
            .collect();
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(groups[0], (0.1, 0.01, names(&["conv.weight"])));
        assert_eq!(groups[1], (0.1, 0.0, names(&["bn.weight", "bn.bias"])));
        assert_eq!(groups[2], (0.2, 0.005, names(&["head.bias"])));
        assert_eq!(optim.base_lr(), Some(0.1));
    }

    #[test]
    fn without_a_norm_rule_the_bias_rule_hits_norms_too() {
        let config = json!({
            "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01},
            "paramwise_cfg": {"bias_decay_mult": 0.0},
        });
        let optim = build(&config, &model());
        assert_eq!(optim.groups()[1].parameters(), ["bn.bias", "head.bias"]);
    }

    #[test]
    fn the_longest_custom_key_wins_and_silences_other_rules() {
        let config = json!({
            "optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.01},
            "paramwise_cfg": {"norm_decay_mult": 0.0, "custom_keys": {
                "bn": {"lr_mult": 0.5}, "bn.bias": {"lr_mult": 0.25, "decay_mult": 2.0}, "zzz": {"lr": 9.0}}},
        });
        let optim = build(&config, &model());
        let of = |name: &str| {
            let group = optim
                .groups()
                .iter()
                .find(|group| group.parameters().iter().any(|other| other == name));
            group.map(|group| (group.lr(), group.weight_decay()))
        };
        assert_eq!(of("bn.weight"), Some((0.5, 0.01)));
        assert_eq!(of("bn.bias"), Some((0.25, 0.02)));
        assert_eq!(of("conv.weight"), Some((1.0, 0.01)));
    }

    #[test]
    fn the_norm_is_clipped_and_told() {
        let state = model();
        let config =
            json!({"optimizer": {"type": "SGD", "lr": 1.0}, "clip_grad": {"max_norm": 0.5}});
        let mut optim = build(&config, &state);
        backward(&state, 0.0);
        let total: f64 = state
            .parameters()
            .map(|entry| entry.tensor.grad().square().sum(Kind::Double).double_value(&[]))
            .sum();
        let norm = optim.clip().unwrap().double_value(&[]);
        assert!((norm - total.sqrt()).abs() < 1e-5, "{norm} {total}");
        let after = optim.gradient_norm().unwrap().double_value(&[]);
        assert!((after - 0.5).abs() < 1e-5, "{after}");
    }

    #[test]
    fn values_are_clipped_one_by_one() {
        let state = model();
        let config = json!({"optimizer": {"type": "SGD"}, "clip_grad": {"type": "value", "clip_value": 0.25}});
        let mut optim = build(&config, &state);
        backward(&state, 1.0);
        assert!(optim.clip().is_none());
        let largest =
            state.parameters().map(|entry| entry.tensor.grad().abs().max().double_value(&[]));
        assert_eq!(largest.fold(0.0, f64::max), 0.25);
    }

    #[test]
    fn gradients_add_up_until_an_update_is_due() {
        let state = model();
        let optim = build(&json!({"optimizer": {"type": "SGD"}, "accumulative_counts": 3}), &state);
        let due: Vec<bool> = (0..8).map(|iter| optim.is_due(iter, 8)).collect();
        assert_eq!(due, [false, false, true, false, false, true, false, true]);
        let loss = Tensor::from(6.0);
        let scaled: Vec<f64> =
            (0..8).map(|iter| optim.scale_loss(&loss, iter, 8).double_value(&[])).collect();
        // The last window has two iterations only.
        assert_eq!(scaled, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn two_backward_passes_add_their_gradients() {
        let (once, twice) = (model(), model());
        let config = json!({"optimizer": {"type": "SGD", "lr": 0.5}});
        let (mut a, mut b) = (build(&config, &once), build(&config, &twice));
        for _ in 0..2 {
            train(&mut a, &once, 3..4);
            backward(&twice, 3.0);
        }
        b.step();
        assert_close(&values(&once), &values(&twice));
    }

    #[test]
    fn parameters_that_took_no_part_are_left_alone() {
        let state = model();
        let config = json!({"optimizer": {"type": "AdamW", "lr": 0.1, "weight_decay": 0.5}});
        let mut optim = build(&config, &state);
        let unused = state.get("head.bias").unwrap().copy();
        for _ in 0..2 {
            state.get("conv.weight").unwrap().square().sum(None).backward();
            optim.step();
            optim.zero_grad();
        }
        assert!(state.get("head.bias").unwrap().equal(&unused));
        assert_eq!(optim.save().scalars["steps"]["head.bias"], 0);
        assert_eq!(optim.save().scalars["steps"]["conv.weight"], 2);
    }

    #[test]
    fn a_resumed_optimizer_goes_on_to_the_same_bits() {
        for optimizer in [
            json!({"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}),
            json!({"type": "AdamW", "lr": 0.1}),
        ] {
            let config = json!({"optimizer": optimizer, "paramwise_cfg": {"norm_decay_mult": 0.0}, "clip_grad": {"max_norm": 1.0}});
            let config = if config["optimizer"]["weight_decay"].is_null() {
                json!({"optimizer": config["optimizer"]})
            } else {
                config
            };
            let (state, other) = (model(), model());
            let mut optim = build(&config, &state);
            train(&mut optim, &state, 0..3);
            optim.set(0, "lr", 0.03).unwrap();
            let saved = optim.save();
            let mut resumed = build(&config, &other);
            for (entry, source) in other.entries().iter().zip(state.entries()) {
                no_grad(|| entry.tensor.detach().copy_(&source.tensor));
            }
            assert!(resumed.load(&saved).unwrap().edits.is_empty());
            train(&mut optim, &state, 3..6);
            train(&mut resumed, &other, 3..6);
            assert_eq!(values(&state), values(&other));
        }
    }

    #[test]
    fn an_edited_setting_holds_on_resume_and_is_reported() {
        let state = model();
        let mut optim =
            build(&json!({"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}), &state);
        train(&mut optim, &state, 0..1);
        let saved = optim.save();
        let mut edited =
            build(&json!({"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.9}}), &state);
        let loaded = edited.load(&saved).unwrap();
        assert_eq!(loaded.edits, ["group 0: lr was 0.1, is now 0.2"]);
        assert_eq!(edited.groups()[0].lr(), 0.2);
    }

    #[test]
    fn the_state_of_another_model_is_refused_by_name() {
        let config = json!({"optimizer": {"type": "SGD", "momentum": 0.9}});
        let state = model();
        let mut optim = build(&config, &state);
        train(&mut optim, &state, 0..1);
        let saved = optim.save();
        let root = Scope::root(Device::Cpu);
        let _weight = root.child("conv").parameter("weight", &[4, 3, 2, 2], CONVOLUTION);
        let _extra = root.parameter("extra", &[1], Layer::Other);
        let mut other = build(&config, &root.finish());
        let message = other.load(&saved).unwrap_err().to_string();
        assert!(
            message.contains("missing extra; unexpected bn.bias, bn.weight, head.bias"),
            "{message}"
        );
        let mut adam = build(&json!({"optimizer": {"type": "Adam"}}), &state);
        assert!(
            adam.load(&saved)
                .unwrap_err()
                .to_string()
                .contains("expected the state of Adam, found that of SGD")
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        let error = |config: Json| OptimWrapper::build(&config, &model()).unwrap_err().to_string();
        let unknown = error(json!({"optimizer": {"type": "AdamV"}}));
        assert_eq!(
            unknown,
            "optim_wrapper: unknown optimizer `AdamV`, did you mean `Adam`? (known: SGD, Adam, AdamW)"
        );
        let key = error(json!({"optimizer": {"type": "SGD", "momentun": 0.9}}));
        assert!(key.contains("SGD: unknown key `momentun`, did you mean `momentum`?"), "{key}");
        let decay =
            error(json!({"optimizer": {"type": "SGD"}, "paramwise_cfg": {"norm_decay_mult": 0.0}}));
        assert!(decay.contains("norm_decay_mult") && decay.contains("weight_decay"), "{decay}");
        let clip = error(json!({"optimizer": {"type": "SGD"}, "clip_grad": {}}));
        assert!(clip.contains("key `max_norm` is missing"), "{clip}");
        let amp = error(json!({"type": "AmpOptimWrapper", "optimizer": {"type": "SGD"}}));
        assert!(amp.contains("unknown wrapper `AmpOptimWrapper`"), "{amp}");
    }

    #[test]
    fn schedules_drive_all_groups_and_the_base() {
        use snaphook_schedules::{ScheduleContext, Schedules, Unit};
        let config = json!({
            "optimizer": {"type": "Adam", "lr": 0.1},
            "paramwise_cfg": {"bias_lr_mult": 2.0},
        });
        let mut optim = build(&config, &model());
        let context = ScheduleContext { max_epochs: 4, max_iters: 4, epoch_length: 1 };
        let schedulers = json!([{"type": "StepLR", "step_size": 1, "gamma": 0.5}, {"type": "ConstantMomentum", "factor": 0.5}]);
        let mut schedules = Schedules::build(&schedulers, context, &mut optim).unwrap();
        schedules.step(Unit::Epoch, &mut optim);
        assert_eq!(
            (optim.groups()[0].lr(), optim.groups()[1].lr(), optim.base_lr()),
            (0.05, 0.1, Some(0.05))
        );
        assert_eq!(optim.groups()[0].betas(), (0.45, 0.999));
        assert_eq!(optim.groups()[0].initial_lr(), Some(0.1));
    }
}
