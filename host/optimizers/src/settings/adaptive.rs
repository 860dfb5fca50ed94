//! Optimizers that divide gradients by their size so far, without a first moment.

use super::{Settings, optimizer};
use crate::{Hyper, UpdateRule};

optimizer! {
    /// Divides gradients by a running mean of their size, and multiplies them by that of the updates.
    Adadelta "Adadelta" {
        /// What an update is multiplied with.
        #[kwarg(default = 1.0, min = 0)]
        lr: f64,
        /// Share of the running means that stays.
        #[kwarg(default = 0.9, min = 0, max = 1)]
        rho: f64,
        /// Added to the running means.
        #[kwarg(default = 1e-6, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
    }
}

impl Settings for Adadelta {
    fn hyper(&self) -> Hyper {
        Hyper {
            learning_rate: self.lr,
            momentum: 0.0,
            weight_decay: self.weight_decay,
            maximize: self.maximize,
            rule: UpdateRule::Adadelta { rho: self.rho, eps: self.eps },
        }
    }
}

optimizer! {
    /// Divides gradients by the root of the sum of all squares so far.
    Adagrad "Adagrad" {
        /// The learning rate.
        #[kwarg(default = 0.01, min = 0)]
        lr: f64,
        /// How fast the learning rate falls with the updates.
        #[kwarg(default = 0.0, min = 0)]
        lr_decay: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// What the sum of squares begins with.
        #[kwarg(default = 0.0, min = 0)]
        initial_accumulator_value: f64,
        /// Added to the divisor.
        #[kwarg(default = 1e-10, min = 0)]
        eps: f64,
    }
}

impl Settings for Adagrad {
    fn hyper(&self) -> Hyper {
        Hyper {
            learning_rate: self.lr,
            momentum: 0.0,
            weight_decay: self.weight_decay,
            maximize: self.maximize,
            rule: UpdateRule::Adagrad {
                lr_decay: self.lr_decay,
                initial_accumulator_value: self.initial_accumulator_value,
                eps: self.eps,
            },
        }
    }
}

optimizer! {
    /// Divides gradients by a running root of their mean square.
    RMSprop "RMSprop" {
        /// The learning rate.
        #[kwarg(default = 0.01, min = 0)]
        lr: f64,
        /// Share of the mean square that stays.
        #[kwarg(default = 0.99, min = 0)]
        alpha: f64,
        /// Added to the divisor.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// Share of the last step that goes on.
        #[kwarg(default = 0.0, min = 0)]
        momentum: f64,
        /// Whether the mean is subtracted, so that the divisor is a deviation.
        #[kwarg(default = false)]
        centered: bool,
    }
}

impl Settings for RMSprop {
    fn hyper(&self) -> Hyper {
        Hyper {
            learning_rate: self.lr,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            maximize: self.maximize,
            rule: UpdateRule::RmsProp {
                alpha: self.alpha,
                eps: self.eps,
                is_centered: self.centered,
            },
        }
    }
}
