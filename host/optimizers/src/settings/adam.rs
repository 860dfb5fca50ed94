//! Adam and its kin.

use snaphook_components::Wrong;

use super::{Settings, check_betas, optimizer};
use crate::{Hyper, UpdateRule};

/// The fields of an optimizer with two betas as [`Hyper`].
macro_rules! hyper {
    ($settings:expr, $rule:expr) => {
        Hyper {
            learning_rate: $settings.lr,
            momentum: $settings.betas.0,
            weight_decay: $settings.weight_decay,
            maximize: $settings.maximize,
            rule: $rule,
        }
    };
}

optimizer! {
    /// Running means of gradients and of their squares.
    Adam "Adam" {
        /// The learning rate.
        #[kwarg(default = 0.001, min = 0)]
        lr: f64,
        /// Shares of the running means that stay.
        #[kwarg(default = (0.9, 0.999))]
        betas: (f64, f64),
        /// Added to the divisor.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// Whether the divisor never falls.
        #[kwarg(default = false)]
        amsgrad: bool,
        /// Whether the decay acts on the parameters and not on gradients, as in AdamW.
        #[kwarg(default = false)]
        decoupled_weight_decay: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)
    }
}

impl Settings for Adam {
    fn hyper(&self) -> Hyper {
        let (beta2, is_decoupled) = (self.betas.1, self.decoupled_weight_decay);
        let (eps, amsgrad) = (self.eps, self.amsgrad);
        hyper!(self, UpdateRule::Adam { beta2, eps, amsgrad, is_decoupled })
    }
}

optimizer! {
    /// Adam whose decay acts on the parameters and not on gradients.
    AdamW "AdamW" {
        /// The learning rate.
        #[kwarg(default = 0.001, min = 0)]
        lr: f64,
        /// Shares of the running means that stay.
        #[kwarg(default = (0.9, 0.999))]
        betas: (f64, f64),
        /// Added to the divisor.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is taken off, times the learning rate.
        #[kwarg(default = 0.01, min = 0)]
        weight_decay: f64,
        /// Whether the divisor never falls.
        #[kwarg(default = false)]
        amsgrad: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)
    }
}

impl Settings for AdamW {
    fn hyper(&self) -> Hyper {
        let (beta2, eps, amsgrad) = (self.betas.1, self.eps, self.amsgrad);
        hyper!(self, UpdateRule::Adam { beta2, eps, amsgrad, is_decoupled: true })
    }
}

optimizer! {
    /// Adam that divides by the largest gradient, which fades.
    Adamax "Adamax" {
        /// The learning rate.
        #[kwarg(default = 0.002, min = 0)]
        lr: f64,
        /// Shares of the running mean and of the largest gradient that stay.
        #[kwarg(default = (0.9, 0.999))]
        betas: (f64, f64),
        /// Added to a gradient's size.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)
    }
}

impl Settings for Adamax {
    fn hyper(&self) -> Hyper {
        hyper!(self, UpdateRule::Adamax { beta2: self.betas.1, eps: self.eps })
    }
}

optimizer! {
    /// Adam with Nesterov's momentum.
    NAdam "NAdam" {
        /// The learning rate.
        #[kwarg(default = 0.002, min = 0)]
        lr: f64,
        /// Shares of the running means that stay.
        #[kwarg(default = (0.9, 0.999))]
        betas: (f64, f64),
        /// Added to the divisor.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// How fast the momentum grows to its first beta.
        #[kwarg(default = 0.004, min = 0)]
        momentum_decay: f64,
        /// Whether the decay acts on the parameters and not on gradients.
        #[kwarg(default = false)]
        decoupled_weight_decay: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)
    }
}

impl Settings for NAdam {
    fn hyper(&self) -> Hyper {
        let (beta2, is_decoupled) = (self.betas.1, self.decoupled_weight_decay);
        let (eps, momentum_decay) = (self.eps, self.momentum_decay);
        hyper!(self, UpdateRule::NAdam { beta2, eps, momentum_decay, is_decoupled })
    }
}

optimizer! {
    /// Adam that waits until its running square means can be trusted.
    RAdam "RAdam" {
        /// The learning rate.
        #[kwarg(default = 0.001, min = 0)]
        lr: f64,
        /// Shares of the running means that stay.
        #[kwarg(default = (0.9, 0.999))]
        betas: (f64, f64),
        /// Added to the divisor.
        #[kwarg(default = 1e-8, min = 0)]
        eps: f64,
        /// Share of a parameter that is added to its gradient.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// Whether the decay acts on the parameters and not on gradients.
        #[kwarg(default = false)]
        decoupled_weight_decay: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)
    }
}

impl Settings for RAdam {
    fn hyper(&self) -> Hyper {
        let (beta2, is_decoupled) = (self.betas.1, self.decoupled_weight_decay);
        hyper!(self, UpdateRule::RAdam { beta2, eps: self.eps, is_decoupled })
    }
}

optimizer! {
    /// Steps of one size in the direction of the running mean's sign.
    Lion "Lion" {
        /// The learning rate.
        #[kwarg(default = 0.0001, min = 0)]
        lr: f64,
        /// Shares of the running mean: in an update, and that stays.
        #[kwarg(default = (0.9, 0.99))]
        betas: (f64, f64),
        /// Share of a parameter that is taken off, times the learning rate.
        #[kwarg(default = 0.0, min = 0)]
        weight_decay: f64,
        /// Without effect: updates are computed by libtorch.
        #[kwarg(default = false)]
        use_triton: bool,
        /// Whether the decay is divided by `lr`, so that it does not depend on it.
        #[kwarg(default = false)]
        decoupled_weight_decay: bool,
    }
    fn check(&self) -> Result<(), Wrong> {
        check_betas(self.betas)?;
        Wrong::unless(self.lr > 0.0 || !self.decoupled_weight_decay, "lr", || {
            "expected a number above 0 with decoupled_weight_decay, found 0".to_owned()
        })
    }
}

impl Settings for Lion {
    fn hyper(&self) -> Hyper {
        let decay_divisor = if self.decoupled_weight_decay { self.lr } else { 1.0 };
        hyper!(self, UpdateRule::Lion { beta2: self.betas.1, decay_divisor })
    }
}
