//! Parts that all models share: normalisation, activation, convolution, start values, suppression.

use snaphook_plugin_api::Kwargs;

use crate::{Component, Declared, Role, Wrong};

/// Batch normalisation; `SyncBN` takes the statistics of all processes, and is the same in a single one.
#[derive(Kwargs)]
pub struct BatchNorm {
    /// Share of the new batch in the running statistics.
    #[kwarg(default = 0.1, min = 0.0, max = 1.0)]
    pub momentum: f64,
    /// Added to the variance.
    #[kwarg(default = 1e-5, min = 0.0)]
    pub eps: f64,
    /// Whether scale and shift are trained.
    #[kwarg(default = true)]
    pub requires_grad: bool,
}

impl Component for BatchNorm {
    const ROLE: Role = Role::Normalisation;
    const NAMES: &'static [&'static str] = &["BN", "BN2d", "SyncBN"];
}

/// x sigmoid(x).
#[derive(Kwargs)]
pub struct Swish {
    /// Has no effect: it says where the result is stored.
    #[kwarg(default = false)]
    pub inplace: bool,
}

impl Component for Swish {
    const ROLE: Role = Role::Activation;
    const NAMES: &'static [&'static str] = &["Swish", "SiLU"];
}

/// max(x, 0).
#[derive(Kwargs)]
pub struct Relu {
    /// Has no effect: it says where the result is stored.
    #[kwarg(default = false)]
    pub inplace: bool,
}

impl Component for Relu {
    const ROLE: Role = Role::Activation;
    const NAMES: &'static [&'static str] = &["ReLU"];
}

/// x where it is positive, else x times the slope.
#[derive(Kwargs)]
pub struct LeakyRelu {
    /// The slope.
    #[kwarg(default = 0.01)]
    pub negative_slope: f64,
    /// Has no effect: it says where the result is stored.
    #[kwarg(default = false)]
    pub inplace: bool,
}

impl Component for LeakyRelu {
    const ROLE: Role = Role::Activation;
    const NAMES: &'static [&'static str] = &["LeakyReLU"];
}

/// A plain convolution.
#[derive(Kwargs)]
pub struct Conv2d {}

impl Component for Conv2d {
    const ROLE: Role = Role::Convolution;
    const NAMES: &'static [&'static str] = &["Conv2d", "Conv"];
}

/// Start values of convolutions: uniform, by the number of inputs, as PyTorch's own.
#[derive(Kwargs)]
pub struct Kaiming {
    /// Has no effect: the only start values there are are those of convolutions.
    #[kwarg(default = None)]
    pub layer: Option<snaphook_plugin_api::Json>,
    /// Slope of the activation that is assumed: the square root of 5.
    #[kwarg(default = 2.23606797749979)]
    pub a: f64,
    /// Distribution of the values.
    #[kwarg(default = "uniform", only("uniform"))]
    pub distribution: String,
    /// What the values are scaled by.
    #[kwarg(default = "fan_in", only("fan_in"))]
    pub mode: String,
    /// Activation that is assumed.
    #[kwarg(default = "leaky_relu", choices("leaky_relu"))]
    pub nonlinearity: String,
}

impl Component for Kaiming {
    const ROLE: Role = Role::Initialisation;
    const NAMES: &'static [&'static str] = &["Kaiming"];

    fn check(&self) -> Result<(), Wrong> {
        let is_known = self.a == 5.0_f64.sqrt();
        Wrong::unless(is_known, "a", || format!("expected math.sqrt(5), found {}", self.a))
    }
}

/// How maps of features become twice as large.
#[derive(Kwargs)]
pub struct UpsampleCfg {
    /// Factor for both sides.
    #[kwarg(default = 2, only(2, 2.0))]
    pub scale_factor: f64,
    /// Interpolation.
    #[kwarg(default = "nearest", only("nearest"))]
    pub mode: String,
}

impl Component for UpsampleCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["UpsampleCfg"];
}

/// Non-maximum suppression by class.
#[derive(Kwargs)]
pub struct Nms {
    /// A box with more overlap than this with a better one is left out.
    #[kwarg(min = 0.0, max = 1.0)]
    pub iou_threshold: f32,
    /// Whether boxes of other classes count.
    #[kwarg(default = false)]
    pub class_agnostic: bool,
    /// Most boxes to keep; -1 for all.
    #[kwarg(default = -1)]
    pub max_num: i64,
    /// Has no effect: the same boxes are kept whatever it is.
    #[kwarg(default = 10000)]
    pub split_thr: i64,
}

impl Component for Nms {
    const ROLE: Role = Role::Suppression;
    const NAMES: &'static [&'static str] = &["nms"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<BatchNorm>(),
        Declared::of::<Swish>(),
        Declared::of::<Relu>(),
        Declared::of::<LeakyRelu>(),
        Declared::of::<Conv2d>(),
        Declared::of::<Kaiming>(),
        Declared::of::<UpsampleCfg>(),
        Declared::of::<Nms>(),
    ]
}
