//! The update rules, with PyTorch's arithmetic, on one long tensor or on a part of it.
//! Knows nothing of groups, names or configuration files.
//!
//! Source: PyTorch 2.11 `torch/optim/sgd.py` and `adam.py`, the single-tensor functions; the same operations in the same
//! order.

use tch::{Kind, Tensor};

/// An optimizer's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sgd,
    Adam,
    AdamW,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 3] = [Algorithm::Sgd, Algorithm::Adam, Algorithm::AdamW];

    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Sgd => "SGD",
            Algorithm::Adam => "Adam",
            Algorithm::AdamW => "AdamW",
        }
    }

    /// The running tensors that it keeps for each parameter of these groups, by PyTorch's names.
    pub(super) fn slots<'a>(
        self,
        mut groups: impl Iterator<Item = &'a Hyper>,
    ) -> &'static [&'static str] {
        match self {
            Algorithm::Sgd if groups.any(|hyper| hyper.momentum != 0.0) => &["momentum_buffer"],
            Algorithm::Sgd => &[],
            _ if groups.any(|hyper| hyper.amsgrad) => &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
            _ => &["exp_avg", "exp_avg_sq"],
        }
    }
}

/// The numbers of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hyper {
    pub(super) learning_rate: f64,
    /// SGD's momentum, or Adam's first beta.
    pub(super) momentum: f64,
    pub(super) weight_decay: f64,
    /// Adam's second beta.
    pub(super) beta2: f64,
    pub(super) eps: f64,
    pub(super) dampening: f64,
    pub(super) nesterov: bool,
    pub(super) amsgrad: bool,
    pub(super) maximize: bool,
}

/// The tensors of an update: equally long, and changed in place.
pub(super) struct Slice<'a> {
    pub(super) parameter: Tensor,
    pub(super) gradient: Tensor,
    pub(super) slots: Vec<Tensor>,
    /// Room for results in between.
    pub(super) scratch: &'a mut Scratch,
    /// How many updates there were, with this one.
    pub(super) step: u64,
}

/// Two tensors for results in between, kept between updates so that no memory is asked for.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    rooms: [Option<Tensor>; 2],
}

impl Scratch {
    /// A tensor like `like`, of undefined content.
    fn room(&mut self, index: usize, like: &Tensor) -> Tensor {
        let length = like.numel() as i64;
        let fits = |room: &Tensor| {
            room.numel() as i64 >= length
                && room.kind() == like.kind()
                && room.device() == like.device()
        };
        match &self.rooms[index] {
            Some(room) if fits(room) => room.narrow(0, 0, length),
            _ => {
                let room = like.empty_like();
                self.rooms[index] = Some(room.shallow_clone());
                room
            }
        }
    }
}

impl Algorithm {
    /// Updates the parameters from the gradients; call it where gradients are not recorded.
    pub(super) fn update(self, slice: Slice<'_>, hyper: &Hyper) {
        match self {
            Algorithm::Sgd => sgd(slice, hyper),
            Algorithm::Adam => adam(slice, hyper, false),
            Algorithm::AdamW => adam(slice, hyper, true),
        }
    }
}

/// `target + factor * tensor`, written to `out`.
///
/// The factor is a tensor of one element because the bindings have no `alpha`; the arithmetic is the same.
fn add_scaled(out: &Tensor, target: &Tensor, tensor: &Tensor, factor: f64) {
    let factor = Tensor::full([1], factor, (target.kind(), target.device()));
    let _ = target.addcmul_out(out, &factor, tensor);
}

fn ascending_gradient(slice: &mut Slice<'_>, hyper: &Hyper) -> Tensor {
    if !hyper.maximize {
        return slice.gradient.shallow_clone();
    }
    let negative = slice.scratch.room(0, &slice.gradient);
    let _ = slice.gradient.neg_out(&negative);
    negative
}

fn decayed_gradient(slice: &mut Slice<'_>, hyper: &Hyper) -> Tensor {
    let gradient = ascending_gradient(slice, hyper);
    if hyper.weight_decay == 0.0 {
        return gradient;
    }
    let decayed = slice.scratch.room(0, &gradient);
    add_scaled(&decayed, &gradient, &slice.parameter, hyper.weight_decay);
    decayed
}

fn sgd(mut slice: Slice<'_>, hyper: &Hyper) {
    let mut direction = decayed_gradient(&mut slice, hyper);
    if let Some(buffer) = slice.slots.first_mut() {
        if slice.step == 1 {
            buffer.copy_(&direction);
        } else if hyper.dampening == 0.0 {
            let _ = buffer.g_mul_scalar_(hyper.momentum).g_add_(&direction);
        } else {
            let decayed = buffer.g_mul_scalar_(hyper.momentum);
            add_scaled(buffer, &decayed, &direction, 1.0 - hyper.dampening);
        }
        if hyper.nesterov {
            let ahead = slice.scratch.room(0, buffer);
            add_scaled(&ahead, &direction, buffer, hyper.momentum);
            direction = ahead;
        } else {
            direction = buffer.shallow_clone();
        }
    }
    add_scaled(&slice.parameter, &slice.parameter, &direction, -hyper.learning_rate);
}

fn adam(mut slice: Slice<'_>, hyper: &Hyper, is_decoupled: bool) {
    let gradient = if is_decoupled {
        let _ = slice.parameter.g_mul_scalar_(1.0 - hyper.learning_rate * hyper.weight_decay);
        ascending_gradient(&mut slice, hyper)
    } else {
        decayed_gradient(&mut slice, hyper)
    };
    let room = slice.scratch.room(1, &gradient);
    let _ = slice.slots[0].lerp_(&gradient, 1.0 - hyper.momentum);
    let _ = gradient.mul_scalar_out(&room, 1.0 - hyper.beta2);
    let _ = slice.slots[1].g_mul_scalar_(hyper.beta2).addcmul_(&room, &gradient);
    let step = slice.step as f64;
    let correction1 = 1.0 - hyper.momentum.powf(step);
    let correction2 = (1.0 - hyper.beta2.powf(step)).sqrt();
    let mut second = slice.slots[1].shallow_clone();
    if let Some(largest) = slice.slots.get(2) {
        let _ = largest.maximum_out(largest, &second);
        second = largest.shallow_clone();
    }
    // The gradient is not needed any more: both rooms are free.
    let mut denominator = slice.scratch.room(0, &second);
    let _ = second.sqrt_out(&denominator);
    let _ = denominator.g_div_scalar_(correction2).g_add_scalar_(hyper.eps);
    let _ = slice.slots[0].mul_scalar_out(&room, -hyper.learning_rate / correction1);
    let _ = slice.parameter.addcdiv_(&room, &denominator);
}

/// Whether an optimizer can train tensors of this kind.
pub(super) fn is_trainable(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}
