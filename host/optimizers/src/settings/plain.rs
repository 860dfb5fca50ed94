//! Optimizers without running squares: SGD, its average, and the one that looks at signs alone.

use snaphook_components::Wrong;

use super::{Settings, optimizer};
use crate::{Hyper, UpdateRule};

optimizer! {
    /// Stochastic gradient descent, with momentum where it is given.
    Sgd "SGD" {
        /// The learning rate.
        #[kwarg(default = 0.001, min = 0)]
        lr: f64,
        /// Share of the last step that goes on.
        #[kwarg(default = 0.0, min = 0)]
        momentum: f64,
        /// Share of the gradient that does not go into the momentum.
        #[kwarg(default = 0.0)]
        dampening: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// Whether Nesterov's momentum is used.
        #[kwarg(default = false)]
        nesterov: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        let is_right = !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0);
        Wrong::unless(is_right, "nesterov", || {
            "expected a momentum and no dampening together with it".to_owned()
        })
    }
}

impl Settings for Sgd {
    fn hyper(&self) -> Hyper {
        Hyper {
            learning_rate: self.lr,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            maximize: self.maximize,
            rule: UpdateRule::Sgd { dampening: self.dampening, nesterov: self.nesterov },
        }
    }
}

optimizer! {
    /// Averaged stochastic gradient descent. The average is kept, and saved, beside the parameters.
    Asgd "ASGD" {
        /// The learning rate.
        #[kwarg(default = 0.01, min = 0)]
        lr: f64,
        /// Decay of the parameters with the learning rate.
        #[kwarg(default = 0.0001)]
        lambd: f64,
        /// Power by which the learning rate falls.
        #[kwarg(default = 0.75)]
        alpha: f64,
        /// Update from which on values are averaged.
        #[kwarg(default = 1000000.0)]
        t0: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
    }
}

impl Settings for Asgd {
    fn hyper(&self) -> Hyper {
        Hyper {
            learning_rate: self.lr,
            momentum: 0.0,
            weight_decay: self.weight_decay,
            maximize: self.maximize,
            rule: UpdateRule::Asgd { lambd: self.lambd, alpha: self.alpha, t0: self.t0 },
        }
    }
}

optimizer! {
    /// Steps of a size of their own for each number, which grows while the gradient's sign stays; for whole data sets.
    Rprop "Rprop" {
        /// The first step's size; later ones follow from it, so that schedules have no effect on them.
        #[kwarg(default = 0.01, min = 0)]
        lr: f64,
        /// Factors of the step's size: when the sign changes, and when it stays.
        #[kwarg(default = (0.5, 1.2))]
        etas: (f64, f64),
        /// The least and the largest step.
        #[kwarg(default = (1e-6, 50.0))]
        step_sizes: (f64, f64),
    }
    fn check(&self) -> Result<(), Wrong> {
        let (minus, plus) = self.etas;
        let is_right = minus > 0.0 && minus < 1.0 && plus > 1.0;
        Wrong::unless(is_right, "etas", || {
            format!("expected a number below 1 and one above 1, found {minus} and {plus}")
        })
    }
}

impl Settings for Rprop {
    fn hyper(&self) -> Hyper {
        let (eta_minus, eta_plus) = self.etas;
        let (least_step, largest_step) = self.step_sizes;
        Hyper {
            learning_rate: self.lr,
            momentum: 0.0,
            weight_decay: 0.0,
            maximize: self.maximize,
            rule: UpdateRule::Rprop { eta_minus, eta_plus, least_step, largest_step },
        }
    }
}
