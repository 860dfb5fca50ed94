//! The keyword arguments of every optimizer, with PyTorch's names and defaults, and the numbers that they mean.
//! Knows nothing of parameters.
//!
//! Source: PyTorch 2.11 `torch/optim/*.py`; lion-pytorch 0.2.5.

mod adam;
mod adaptive;
mod plain;

pub(crate) use adam::{Adam, AdamW, Adamax, Lion, NAdam, RAdam};
pub(crate) use adaptive::{Adadelta, Adagrad, RMSprop};
pub(crate) use plain::{Asgd, Rprop, Sgd};

use snaphook_components::{Component, Wrong};

use crate::Hyper;

/// An optimizer's keyword arguments.
pub(crate) trait Settings: Component {
    /// The numbers that they mean.
    fn hyper(&self) -> Hyper;
}

/// Declares an optimizer: its arguments, those that choose among ways to compute the same update, which have no effect
/// here, and its role.
macro_rules! optimizer {
    ($(#[$($meta:tt)*])* $name:ident $type_name:literal { $($fields:tt)* } $($check:item)?) => {
        $(#[$($meta)*])*
        #[derive(Clone, Debug, snaphook_plugin_api::Kwargs)]
        #[allow(dead_code, reason = "arguments without effect are read, so that a config may have them")]
        pub(crate) struct $name {
            $($fields)*
            /// Whether parameters move along the gradient, to maximise.
            #[kwarg(default = false)]
            maximize: bool,
            /// Without effect: all parameters of a group are updated at once in any case.
            #[kwarg]
            foreach: Option<bool>,
            /// Without effect: there are no CUDA graphs.
            #[kwarg(default = false)]
            capturable: bool,
            /// Without effect: nobody takes gradients of an update.
            #[kwarg(default = false)]
            differentiable: bool,
            /// Without effect: all parameters of a group are updated at once in any case.
            #[kwarg]
            fused: Option<bool>,
        }

        impl snaphook_components::Component for $name {
            const ROLE: snaphook_components::Role = snaphook_components::Role::Optimizer;
            const NAMES: &'static [&'static str] = &[$type_name];
            $($check)?
        }
    };
}
pub(crate) use optimizer;

/// Refuses betas that are not from 0 to below 1.
fn check_betas(betas: (f64, f64)) -> Result<(), Wrong> {
    let is_share = |beta: f64| (0.0..1.0).contains(&beta);
    Wrong::unless(is_share(betas.0) && is_share(betas.1), "betas", || {
        format!("expected two numbers from 0 to below 1, found {} and {}", betas.0, betas.1)
    })
}
