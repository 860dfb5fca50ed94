//! Parts that all models share: normalisation, activation, convolution, start values, suppression.

use snaphook_plugin_api::Kwargs;

use crate::{Component, Declared, Role};

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
    /// From so many boxes on, classes are looked at one after another.
    #[kwarg(default = 10000, min = 0)]
    pub split_thr: usize,
}

impl Component for Nms {
    const ROLE: Role = Role::Suppression;
    const NAMES: &'static [&'static str] = &["nms"];
}

/// Suppression that lowers scores instead of leaving boxes out (arXiv 1704.04503).
#[derive(Kwargs)]
pub struct SoftNms {
    /// Boxes with more overlap than this with a better one lose score (`'linear'`), or are left out (`'naive'`).
    #[kwarg(default = 0.3, min = 0.0, max = 1.0)]
    pub iou_threshold: f32,
    /// Spread of the factor with `'gaussian'`.
    #[kwarg(default = 0.5, min = 1e-9)]
    pub sigma: f32,
    /// Boxes below this score are left out.
    #[kwarg(default = 1e-3, min = 0.0)]
    pub min_score: f32,
    /// How scores fall with the overlap.
    #[kwarg(default = "linear", choices("naive", "linear", "gaussian"))]
    pub method: String,
    /// Whether boxes of other classes count.
    #[kwarg(default = false)]
    pub class_agnostic: bool,
    /// From so many boxes on, classes are looked at one after another.
    #[kwarg(default = 10000, min = 0)]
    pub split_thr: usize,
}

impl Component for SoftNms {
    const ROLE: Role = Role::Suppression;
    const NAMES: &'static [&'static str] = &["soft_nms"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<BatchNorm>(),
        Declared::of::<Swish>(),
        Declared::of::<Relu>(),
        Declared::of::<LeakyRelu>(),
        Declared::of::<Conv2d>(),
        Declared::of::<UpsampleCfg>(),
        Declared::of::<Nms>(),
        Declared::of::<SoftNms>(),
    ]
}
