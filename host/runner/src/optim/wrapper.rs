//! The optimizer as a training loop uses it: `optim_wrapper` of the configuration at work.
//! Knows nothing of losses, hooks or files.
//!
//! Source: MMEngine 0.10.7 `optim/optimizer/optimizer_wrapper.py`, `amp_optimizer_wrapper.py`.

use serde_json::{Value as Json, json};
use snaphook_optimizers::{ClipGrad, ParameterSettings, Precision, WrapperSettings};
use snaphook_schedules::{ParamGroups, Quantity};
use tch::{Tensor, no_grad};

use super::OptimError;
use super::amp::LossScaler;
use super::bucket::Bucket;
use super::clip::{clip, total_norm};
use super::group::Group;
use super::layout::{make_buckets, make_groups, trained};
use super::param_groups::Groups;
use super::saved::{self, LoadedOptimizer, OptimState};
use super::update::{Scratch, slot_names};
use crate::state::ModelState;
use snaphook_libtorch::Autocast;

/// An optimizer with clipping, accumulation and mixed precision.
///
/// One iteration: the forward pass under [`autocast`](Self::autocast), [`scale_loss`](Self::scale_loss), backward, and
/// where [`is_due`](Self::is_due), [`clip`](Self::clip), [`step`](Self::step), [`zero_grad`](Self::zero_grad).
///
/// Building it moves the values of all trained parameters into long tensors; the model's tensors become contiguous views
/// of them, with the same values. Gradients are zeroed, never removed: a parameter that took part once and then does
/// not is still decayed and moved by its momentum, as with PyTorch's `zero_grad(set_to_none=False)`; one that never took
/// part is left alone.
#[derive(Debug)]
pub struct OptimWrapper {
    name: &'static str,
    slot_names: Vec<&'static str>,
    groups: Groups,
    buckets: Vec<Bucket>,
    scratch: Scratch,
    clip: Option<ClipGrad>,
    accumulative_counts: u64,
    autocast: Autocast,
    scaler: Option<LossScaler>,
    is_captured: bool,
}

impl OptimWrapper {
    /// Builds the `optim_wrapper` of a configuration for the parameters of a model that require gradients.
    ///
    /// Errors: unknown types and keys, values out of range, nothing to train, float16 on the CPU.
    pub fn build(config: &Json, state: &ModelState) -> Result<OptimWrapper, OptimError> {
        let settings = WrapperSettings::read(config)?;
        let parameters = trained(state);
        let (groups, assignment) = make_groups(&parameters, &settings)?;
        let slot_names = slot_names(groups.iter().map(|group| &group.hyper));
        let buckets =
            no_grad(|| make_buckets(&parameters, (&groups, &assignment), slot_names.len()));
        let has_base = !settings.paramwise.is_empty() && parameters.len() > 1;
        let (autocast, scaler) = match settings.precision {
            Precision::Full => (Autocast::OFF, None),
            Precision::Mixed(amp) => {
                let device = parameters.first().map_or(tch::Device::Cpu, |it| it.tensor.device());
                let autocast =
                    Autocast::on(device, amp.is_bfloat16).ok_or(OptimError::HalfOnCpu)?;
                (autocast, Some(LossScaler::new(amp.loss_scale)))
            }
        };
        Ok(OptimWrapper {
            name: settings.optimizer.name(),
            slot_names,
            groups: Groups { groups, base: has_base.then(|| base_group(&settings)) },
            buckets,
            scratch: Scratch::default(),
            clip: settings.clip,
            accumulative_counts: settings.accumulative_counts,
            autocast,
            scaler,
            is_captured: false,
        })
    }

    /// The groups; logs show the learning rate of the first.
    pub fn groups(&self) -> &[Group] {
        &self.groups.groups
    }

    /// The learning rate that logs show as `base_lr`, which they do with a `paramwise_cfg` only.
    pub fn base_lr(&self) -> Option<f64> {
        self.groups.base.as_ref().map(Group::lr)
    }

    /// In which precision the forward pass is to run.
    pub fn autocast(&self) -> Autocast {
        self.autocast
    }

    /// What losses are multiplied with in mixed precision, 1 in full precision.
    pub fn loss_scale(&self) -> f64 {
        self.scaler.as_ref().map_or(1.0, LossScaler::scale)
    }

    /// Sets a number of a group: `lr`, `momentum` (Adam's first beta) or `weight_decay`.
    ///
    /// SGD built without momentum has no buffers for it and ignores the value.
    ///
    /// Errors: no such group or number.
    pub fn set(&mut self, group: usize, name: &str, value: f64) -> Result<(), OptimError> {
        let quantity = Quantity::ALL.into_iter().find(|quantity| quantity.name() == name);
        let count = self.groups().len();
        match (quantity, self.groups.groups.get_mut(group)) {
            (Some(quantity), Some(group)) => {
                group.hyper.set_value(quantity, value);
                Ok(())
            }
            (None, _) => Err(OptimError::UnknownValue { name: name.to_owned() }),
            (_, None) => Err(OptimError::UnknownGroup { index: group, count }),
        }
    }

    /// Multiplies the learning rates of all groups, as `auto_scale_lr` does; call it before schedules are built.
    ///
    /// The one that logs show as `base_lr` stays, as in MMEngine.
    pub fn scale_learning_rates(&mut self, factor: f64) {
        self.groups.groups.iter_mut().for_each(|group| group.scale_learning_rate(factor));
    }

    /// Iterations whose gradients are added up for one update.
    pub fn accumulative_counts(&self) -> u64 {
        self.accumulative_counts
    }

    /// The loss divided by the number of iterations that this update adds up, fewer in the last window of a run, and
    /// multiplied with the loss scale of mixed precision.
    ///
    /// `iter` is this iteration, counted from 0 over the whole run.
    pub fn scale_loss(&self, loss: &Tensor, iter: u64, max_iters: u64) -> Tensor {
        let remainder = max_iters % self.accumulative_counts;
        let is_full = iter < max_iters - remainder;
        let window = if is_full { self.accumulative_counts } else { remainder.max(1) };
        let share = if window == 1 { loss.shallow_clone() } else { loss / window as f64 };
        match &self.scaler {
            Some(scaler) => share * scaler.scale(),
            None => share,
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
        let settings = self.clip?;
        self.ensure_unscaled();
        no_grad(|| clip(settings, &self.buckets))
    }

    /// Whether a norm that is not finite ends the run.
    pub(crate) fn wants_finite_norms(&self) -> bool {
        matches!(self.clip, Some(ClipGrad::Norm { error_if_nonfinite: true, .. }))
    }

    /// The norm of all gradients, of order 2, without the loss scale; `None` before the first backward pass.
    pub fn gradient_norm(&mut self) -> Option<Tensor> {
        self.ensure_captured();
        let scale = self.scaler.as_ref().map_or(1.0, LossScaler::scale_of_gradients);
        let with_gradients = self.buckets.iter().filter(|bucket| bucket.has_gradients());
        let norm = no_grad(|| total_norm(with_gradients, 2.0))?;
        Some(if scale == 1.0 { norm } else { norm / scale })
    }

    /// Updates all parameters that have gradients.
    ///
    /// In mixed precision, nothing is updated where a gradient overflowed; to know that, the host waits for the device.
    pub fn step(&mut self) {
        self.ensure_captured();
        self.ensure_unscaled();
        let is_finite = self.scaler.as_mut().is_none_or(LossScaler::finish);
        if !is_finite {
            return;
        }
        no_grad(|| {
            for bucket in &mut self.buckets {
                let hyper = &self.groups.groups[bucket.group].hyper;
                bucket.update(hyper, &self.slot_names, &mut self.scratch);
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
            "type": self.name,
            "groups": self.groups().iter().map(Group::save).collect::<Vec<_>>(),
            "base": self.groups.base.as_ref().map(Group::save),
            "steps": saved::save_steps(&self.buckets),
            "numbers": saved::save_numbers(&self.buckets),
            "loss_scaler": self.scaler.as_ref().map(LossScaler::save),
        })
    }

    /// A copy of everything that a checkpoint needs, by parameter name.
    pub fn save(&self) -> OptimState {
        OptimState {
            scalars: self.save_scalars(),
            tensors: no_grad(|| saved::save_tensors(&self.buckets, &self.slot_names)),
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
        if found != self.name {
            let expected = self.name.to_owned();
            return Err(OptimError::OtherOptimizer { expected, found: found.to_owned() });
        }
        let mut groups = self.groups.clone();
        let mut edits = groups.load(&saved.scalars)?;
        edits.extend(no_grad(|| saved::load(&mut self.buckets, &self.slot_names, saved))?);
        self.groups = groups;
        if let Some(scaler) = &mut self.scaler {
            scaler.load(&saved.scalars["loss_scaler"]);
        }
        Ok(LoadedOptimizer { edits })
    }

    fn ensure_captured(&mut self) {
        if !self.is_captured {
            no_grad(|| self.buckets.iter_mut().for_each(Bucket::capture_gradients));
            self.is_captured = true;
        }
    }

    fn ensure_unscaled(&mut self) {
        if let Some(scaler) = &mut self.scaler {
            no_grad(|| scaler.unscale(&mut self.buckets));
        }
    }
}

fn base_group(settings: &WrapperSettings) -> Group {
    Group::new(ParameterSettings {
        hyper: *settings.optimizer.hyper(),
        arguments: settings.optimizer.arguments().clone(),
        extra: serde_json::Map::new(),
    })
}

impl ParamGroups for OptimWrapper {
    fn count(&self) -> usize {
        self.groups.count()
    }

    fn has(&self, quantity: Quantity) -> bool {
        self.groups.has(quantity)
    }

    fn value(&self, quantity: Quantity, group: usize) -> f64 {
        self.groups.value(quantity, group)
    }

    fn set_value(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.groups.set_value(quantity, group, value);
    }

    fn initial(&self, quantity: Quantity, group: usize) -> Option<f64> {
        self.groups.initial(quantity, group)
    }

    fn set_initial(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.groups.set_initial(quantity, group, value);
    }
}
