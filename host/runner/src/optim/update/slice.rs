//! The tensors of an update. Knows nothing of rules.

use snaphook_optimizers::Hyper;
use tch::Tensor;

/// The tensors of an update: equally long, and changed in place.
pub(crate) struct Slice<'a> {
    pub(crate) parameter: Tensor,
    pub(crate) gradient: Tensor,
    /// Running tensors by PyTorch's names.
    pub(crate) slots: Vec<(&'static str, Tensor)>,
    /// Room for results in between.
    pub(crate) scratch: &'a mut Scratch,
    /// How many updates there were, with this one.
    pub(crate) step: u64,
}

impl Slice<'_> {
    /// The running tensor of this name, where the groups need one.
    pub(super) fn find(&self, name: &str) -> Option<Tensor> {
        let found = self.slots.iter().find(|(slot, _)| *slot == name);
        found.map(|(_, tensor)| tensor.shallow_clone())
    }

    /// A running tensor that the rule always has.
    pub(super) fn slot(&self, name: &str) -> Tensor {
        self.find(name).expect("slot_names lists what the rules use")
    }

    /// The gradient along which parameters fall.
    pub(super) fn descent(&mut self, hyper: &Hyper) -> Tensor {
        if !hyper.maximize {
            return self.gradient.shallow_clone();
        }
        let negative = self.scratch.room(0, &self.gradient);
        let _ = self.gradient.neg_out(&negative);
        negative
    }

    /// The same with the decay of the parameters added.
    pub(super) fn decayed_descent(&mut self, hyper: &Hyper) -> Tensor {
        let gradient = self.descent(hyper);
        if hyper.weight_decay == 0.0 {
            return gradient;
        }
        let decayed = self.scratch.room(0, &gradient);
        add_scaled(&decayed, &gradient, &self.parameter, hyper.weight_decay);
        decayed
    }

    /// Takes the decay off the parameters themselves where it is decoupled, else adds it to the gradient.
    pub(super) fn decay(&mut self, hyper: &Hyper, is_decoupled: bool) -> Tensor {
        if !is_decoupled {
            return self.decayed_descent(hyper);
        }
        if hyper.weight_decay != 0.0 {
            let factor = 1.0 - hyper.learning_rate * hyper.weight_decay;
            let _ = self.parameter.g_mul_scalar_(factor);
        }
        self.descent(hyper)
    }
}

/// Two tensors for results in between, kept between updates so that no memory is asked for.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    rooms: [Option<Tensor>; 2],
}

impl Scratch {
    /// A tensor like `like`, of undefined content.
    pub(super) fn room(&mut self, index: usize, like: &Tensor) -> Tensor {
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

/// `target + factor * tensor`, written to `out`.
///
/// The factor is a tensor of one element because the bindings have no `alpha`; the arithmetic is the same.
pub(super) fn add_scaled(out: &Tensor, target: &Tensor, tensor: &Tensor, factor: f64) {
    let factor = Tensor::full([1], factor, (target.kind(), target.device()));
    let _ = target.addcmul_out(out, &factor, tensor);
}

/// `share * mean + (1 - share) * tensor * tensor`, in place; `room` is written to.
pub(super) fn mean_square(mean: &mut Tensor, tensor: &Tensor, (share, room): (f64, &Tensor)) {
    let _ = tensor.mul_scalar_out(room, 1.0 - share);
    let _ = mean.g_mul_scalar_(share).addcmul_(room, tensor);
}

/// `parameter + factor * numerator / denominator`, in place; `room` is written to.
pub(super) fn add_quotient(
    parameter: &mut Tensor,
    (numerator, denominator): (&Tensor, &Tensor),
    (factor, room): (f64, &Tensor),
) {
    let _ = numerator.mul_scalar_out(room, factor);
    let _ = parameter.addcdiv_(room, denominator);
}
