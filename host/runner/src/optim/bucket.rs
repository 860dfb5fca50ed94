//! Parameters of one group in one long tensor, with their gradients and running averages in others beside it.
//!
//! The model's tensors become views of the long one, and so do their gradients once there are any, so that clipping,
//! updating and zeroing are operations on whole buckets. Knows nothing of names in configurations or files.

use snaphook_optimizers::Hyper;
use tch::{Device, Kind, Tensor};

use super::update::{self, Scratch, Slice};

/// Elements that a parameter's place is rounded up to: 64 bytes of f32, for the vector units.
const ALIGNMENT: i64 = 16;
/// Elements that are summed in one go for a norm: sums of many millions of f32 lose digits.
const NORM_ROW: i64 = 4096;

fn round_up(length: i64, unit: i64) -> i64 {
    (length + unit - 1) / unit * unit
}

/// One parameter and its place.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    parameter: Tensor,
    offset: i64,
    shape: Vec<i64>,
    has_gradient: bool,
    /// Updates so far.
    pub(super) steps: u64,
    /// What the update rule keeps beside that.
    pub(super) numbers: Vec<f64>,
}

impl Member {
    fn length(&self) -> i64 {
        self.shape.iter().product()
    }

    fn part(&self, flat: &Tensor) -> Tensor {
        flat.narrow(0, self.offset, self.length())
    }

    /// Takes over the count of a checkpoint: a parameter that was updated had a gradient, and goes on being updated.
    pub(super) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
        self.has_gradient |= steps > 0;
    }

    /// Its place in one of the long tensors, in its own shape.
    pub(super) fn view(&self, flat: &Tensor) -> Tensor {
        self.part(flat).view(self.shape.as_slice())
    }
}

/// A group's parameters of one kind on one device.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) group: usize,
    pub(super) members: Vec<Member>,
    flat: Tensor,
    gradient: Tensor,
    pub(super) slots: Vec<Tensor>,
}

impl Bucket {
    /// Moves the parameters, which keep their values, into a long tensor.
    pub(super) fn new(
        group: usize,
        parameters: Vec<(String, Tensor)>,
        (slot_count, numbers): (usize, Vec<f64>),
    ) -> Bucket {
        let options =
            parameters.first().map_or((Kind::Float, Device::Cpu), |(_, p)| (p.kind(), p.device()));
        let mut length = 0;
        let mut members = Vec::with_capacity(parameters.len());
        for (name, parameter) in parameters {
            let (offset, shape) = (length, parameter.size());
            length += round_up(parameter.numel() as i64, ALIGNMENT);
            let numbers = numbers.clone();
            let member =
                Member { name, parameter, offset, shape, has_gradient: false, steps: 0, numbers };
            members.push(member);
        }
        let length = round_up(length, NORM_ROW);
        let zeros = || Tensor::zeros([length], options);
        let flat = zeros();
        for member in &mut members {
            let mut view = member.view(&flat);
            view.copy_(&member.parameter.detach());
            member.parameter.set_data(&view);
        }
        Bucket {
            group,
            members,
            gradient: zeros(),
            slots: (0..slot_count).map(|_| zeros()).collect(),
            flat,
        }
    }

    /// Makes the gradients of the last backward pass views of the long gradient.
    ///
    /// Gradients that are views already were added to in place and cost a comparison.
    pub(super) fn capture_gradients(&mut self) {
        let start = self.gradient.data_ptr() as usize;
        let element = self.gradient.kind().elt_size_in_bytes();
        for member in &mut self.members {
            let mut gradient = member.parameter.grad();
            if !gradient.defined() {
                continue;
            }
            member.has_gradient = true;
            if gradient.data_ptr() as usize != start + member.offset as usize * element {
                let mut view = member.view(&self.gradient);
                view.copy_(&gradient);
                gradient.set_data(&view);
            }
        }
    }

    /// The long gradient; places of parameters without one hold zeros.
    pub(super) fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Whether a backward pass reached any of its parameters.
    pub(super) fn has_gradients(&self) -> bool {
        self.members.iter().any(|member| member.has_gradient)
    }

    /// The gradient in rows, for sums that keep their digits.
    pub(super) fn gradient_rows(&self) -> Tensor {
        self.gradient.view([-1, NORM_ROW])
    }

    pub(super) fn zero_gradients(&mut self) {
        let _ = self.gradient.zero_();
    }

    /// Multiplies all gradients, and returns whether all were finite: a tensor of one truth value.
    pub(super) fn unscale(&mut self, factor: f64) -> Tensor {
        let is_finite = self.gradient.isfinite().all();
        let _ = self.gradient.g_mul_scalar_(factor);
        is_finite
    }

    /// Updates all parameters that have a gradient: at once where all are at the same step, else one by one.
    pub(super) fn update(
        &mut self,
        hyper: &Hyper,
        slot_names: &[&'static str],
        scratch: &mut Scratch,
    ) {
        let Some(first) = self.members.first() else { return };
        let (steps, mut numbers) = (first.steps, first.numbers.clone());
        let is_like_first = |member: &Member| {
            member.has_gradient && member.steps == steps && member.numbers == numbers
        };
        if self.members.iter().all(is_like_first) {
            let slots = named(slot_names, self.slots.iter().map(Tensor::shallow_clone));
            let (parameter, gradient) = (self.flat.shallow_clone(), self.gradient.shallow_clone());
            let slice = Slice { parameter, gradient, slots, scratch, step: steps + 1 };
            update::update(slice, hyper, &mut numbers);
            for member in &mut self.members {
                member.steps += 1;
                member.numbers.clone_from(&numbers);
            }
            return;
        }
        for member in self.members.iter_mut().filter(|member| member.has_gradient) {
            member.steps += 1;
            let slots = named(slot_names, self.slots.iter().map(|slot| member.part(slot)));
            let (parameter, gradient) = (member.part(&self.flat), member.part(&self.gradient));
            let slice = Slice { parameter, gradient, slots, scratch, step: member.steps };
            update::update(slice, hyper, &mut member.numbers);
        }
    }
}

fn named(
    names: &[&'static str],
    tensors: impl Iterator<Item = Tensor>,
) -> Vec<(&'static str, Tensor)> {
    names.iter().copied().zip(tensors).collect()
}
