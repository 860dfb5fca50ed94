//! Start values: `init_cfg`.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role};

/// A way to fill layers: its own arguments, and those of every one.
macro_rules! start_values {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* } $names:expr) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            $($own)*
            /// Value of the biases.
            #[kwarg(default = 0.0)]
            pub bias: f64,
            /// Probability that the biases stand for, instead.
            #[kwarg(default = None)]
            pub bias_prob: Option<f64>,
            /// Kinds of layers that are filled: `'Conv2d'`, `'Linear'`, `'_BatchNorm'`, …; all without it.
            #[kwarg(default = None, any_of(String, Vec<String>))]
            pub layer: Option<OneOrMany<String>>,
            /// Layers by name that are filled in another way.
            #[kwarg(
                default = None,
                any_of(Json, Vec<Json>),
                settings = "InitOverride"
            )]
            pub r#override: Option<OneOrMany<Json>>,
        }

        impl Component for $name {
            const ROLE: Role = Role::Initialisation;
            const NAMES: &'static [&'static str] = $names;
        }
    };
}

start_values! {
    /// Random values whose spread keeps a signal's size through activations (arXiv 1502.01852).
    Kaiming {
        /// Slope of the activation that is assumed, where it is negative.
        #[kwarg(default = 0.0)]
        pub a: f64,
        /// Distribution of the values.
        #[kwarg(default = "normal", choices("normal", "uniform"))]
        pub distribution: String,
        /// What the values are scaled by.
        #[kwarg(default = "fan_out", choices("fan_in", "fan_out"))]
        pub mode: String,
        /// Activation that is assumed.
        #[kwarg(default = "relu", choices("relu", "leaky_relu"))]
        pub nonlinearity: String,
    }
    &["Kaiming"]
}

start_values! {
    /// Random values whose spread keeps a signal's size in both directions (PMLR v9, Glorot and Bengio 2010).
    Xavier {
        /// Factor of the values.
        #[kwarg(default = 1.0)]
        pub gain: f64,
        /// Distribution of the values.
        #[kwarg(default = "normal", choices("normal", "uniform"))]
        pub distribution: String,
    }
    &["Xavier"]
}

start_values! {
    /// Normal random values.
    Normal {
        /// Their mean.
        #[kwarg(default = 0.0)]
        pub mean: f64,
        /// Their deviation.
        #[kwarg(default = 1.0, min = 0.0)]
        pub std: f64,
    }
    &["Normal"]
}

start_values! {
    /// The same value everywhere.
    Constant {
        /// The value.
        #[kwarg]
        pub val: f64,
    }
    &["Constant"]
}

/// Layers by name that are filled in another way.
#[derive(Kwargs)]
pub struct InitOverride {
    /// End of the layer's name.
    #[kwarg]
    pub name: String,
}

impl Component for InitOverride {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["InitOverride"];
    const IS_OPEN: bool = true;
}

/// Weights that were trained before.
#[derive(Kwargs)]
pub struct Pretrained {
    /// A file, an address (`https://…`), or a name: `torchvision://resnet50`, `open-mmlab://resnext101_32x4d`.
    #[kwarg]
    pub checkpoint: String,
    /// Begin of the names that are taken; it is left out of them.
    #[kwarg(default = None)]
    pub prefix: Option<String>,
    /// Has no effect: weights are read where they are needed.
    #[kwarg(default = None)]
    pub map_location: Option<String>,
}

impl Component for Pretrained {
    const ROLE: Role = Role::Initialisation;
    const NAMES: &'static [&'static str] = &["Pretrained"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Kaiming>(),
        Declared::of::<Xavier>(),
        Declared::of::<Normal>(),
        Declared::of::<Constant>(),
        Declared::of::<Pretrained>(),
        Declared::of::<InitOverride>(),
    ]
}
