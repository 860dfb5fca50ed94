//! The numbers of an update. Knows nothing of how they are written in a config.

use snaphook_schedules::Quantity;

/// The numbers that the parameters of a group are updated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    /// The learning rate.
    pub learning_rate: f64,
    /// The momentum, or the first beta of Adam and its kin; 0 where the optimizer has neither.
    pub momentum: f64,
    /// The weight decay; 0 where the optimizer has none.
    pub weight_decay: f64,
    /// Whether parameters move along the gradient.
    pub maximize: bool,
    /// The kind of update with the numbers that no schedule drives.
    pub rule: UpdateRule,
}

/// A kind of update with its own numbers, by PyTorch's names.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the keyword arguments say what each number is")]
pub enum UpdateRule {
    /// `torch.optim.SGD`.
    Sgd { dampening: f64, nesterov: bool },
    /// `torch.optim.Adam` and `AdamW`.
    Adam { beta2: f64, eps: f64, amsgrad: bool, is_decoupled: bool },
    /// `torch.optim.Adadelta`.
    Adadelta { rho: f64, eps: f64 },
    /// `torch.optim.Adagrad`.
    Adagrad { lr_decay: f64, initial_accumulator_value: f64, eps: f64 },
    /// `torch.optim.Adamax`.
    Adamax { beta2: f64, eps: f64 },
    /// `torch.optim.ASGD`.
    Asgd { lambd: f64, alpha: f64, t0: f64 },
    /// `torch.optim.NAdam`.
    NAdam { beta2: f64, eps: f64, momentum_decay: f64, is_decoupled: bool },
    /// `torch.optim.RAdam`.
    RAdam { beta2: f64, eps: f64, is_decoupled: bool },
    /// `torch.optim.RMSprop`.
    RmsProp { alpha: f64, eps: f64, is_centered: bool },
    /// `torch.optim.Rprop`; the learning rate is its first step size.
    Rprop { eta_minus: f64, eta_plus: f64, least_step: f64, largest_step: f64 },
    /// `lion_pytorch.Lion`; the weight decay is divided by `decay_divisor`.
    Lion { beta2: f64, decay_divisor: f64 },
}

impl Hyper {
    /// The current value of what a schedule can drive.
    pub fn value(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::LearningRate => self.learning_rate,
            Quantity::Momentum => self.momentum,
            Quantity::WeightDecay => self.weight_decay,
        }
    }

    /// Changes what a schedule can drive.
    pub fn set_value(&mut self, quantity: Quantity, value: f64) {
        match quantity {
            Quantity::LearningRate => self.learning_rate = value,
            Quantity::Momentum => self.momentum = value,
            Quantity::WeightDecay => self.weight_decay = value,
        }
    }
}

impl UpdateRule {
    /// Whether the optimizer has a number of this kind.
    pub fn has(&self, quantity: Quantity) -> bool {
        match (quantity, self) {
            (Quantity::LearningRate, _) => true,
            (Quantity::WeightDecay, rule) => !matches!(rule, UpdateRule::Rprop { .. }),
            (Quantity::Momentum, rule) => !matches!(
                rule,
                UpdateRule::Adadelta { .. }
                    | UpdateRule::Adagrad { .. }
                    | UpdateRule::Asgd { .. }
                    | UpdateRule::Rprop { .. }
            ),
        }
    }
}
