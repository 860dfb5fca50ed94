//! Losses by the `type` of a `loss_*` dict.

use std::str::FromStr;

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role, Wrong};

/// How the elements of a loss become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
}

impl FromStr for Reduction {
    type Err = ();

    fn from_str(text: &str) -> Result<Reduction, ()> {
        match text {
            "mean" => Ok(Reduction::Mean),
            "sum" => Ok(Reduction::Sum),
            _ => Err(()),
        }
    }
}

/// What becomes of an overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IouMode {
    /// 1 - iou.
    Linear,
    /// 1 - iou².
    Square,
    /// -log iou.
    Log,
}

impl FromStr for IouMode {
    type Err = ();

    fn from_str(text: &str) -> Result<IouMode, ()> {
        match text {
            "linear" => Ok(IouMode::Linear),
            "square" => Ok(IouMode::Square),
            "log" => Ok(IouMode::Log),
            _ => Err(()),
        }
    }
}

/// Cross entropy of logits; with `use_sigmoid=True`, the binary one of each class.
#[derive(Kwargs)]
pub struct CrossEntropyLoss {
    /// Whether each class is a question of its own.
    #[kwarg(default = false)]
    pub use_sigmoid: bool,
    /// Whether predictions are masks.
    #[kwarg(default = false, only(false))]
    pub use_mask: bool,
    /// Weights of the classes; not known yet.
    #[kwarg(default = None, only(None))]
    pub class_weight: Json,
    /// Has no effect: no label is left out here.
    #[kwarg(default = None)]
    pub ignore_index: Option<i64>,
    /// Has no effect: no label is left out here.
    #[kwarg(default = false)]
    pub avg_non_ignore: bool,
    /// How elements become one number.
    #[kwarg(default = "mean", choices("mean", "sum"))]
    pub reduction: Reduction,
    /// Factor of the loss.
    #[kwarg(default = 1.0)]
    pub loss_weight: f64,
}

impl Component for CrossEntropyLoss {
    const ROLE: Role = Role::Loss;
    const NAMES: &'static [&'static str] = &["CrossEntropyLoss"];

    fn check(&self) -> Result<(), Wrong> {
        Wrong::unless(self.use_sigmoid, "use_sigmoid", || {
            "expected true, found false (the softmax one is not known yet)".to_owned()
        })
    }
}

/// Loss from the overlap of boxes (arXiv 1608.01471).
#[derive(Kwargs)]
pub struct IouLoss {
    /// What becomes of an overlap; `linear=True` means `'linear'`.
    #[kwarg(default = None, choices("linear", "square", "log"))]
    pub mode: Option<String>,
    /// MMDetection's old way to say `mode='linear'`.
    #[kwarg(default = false)]
    pub linear: bool,
    /// Smallest overlap.
    #[kwarg(default = 1e-6, min = 0.0)]
    pub eps: f64,
    /// How elements become one number.
    #[kwarg(default = "mean", choices("mean", "sum"))]
    pub reduction: Reduction,
    /// Factor of the loss.
    #[kwarg(default = 1.0)]
    pub loss_weight: f64,
}

impl IouLoss {
    /// What becomes of an overlap.
    pub fn mode(&self) -> IouMode {
        let default = if self.linear { IouMode::Linear } else { IouMode::Log };
        self.mode.as_deref().and_then(|mode| mode.parse().ok()).unwrap_or(default)
    }
}

impl Component for IouLoss {
    const ROLE: Role = Role::Loss;
    const NAMES: &'static [&'static str] = &["IoULoss"];
}

/// Absolute difference.
#[derive(Kwargs)]
pub struct L1Loss {
    /// How elements become one number.
    #[kwarg(default = "mean", choices("mean", "sum"))]
    pub reduction: Reduction,
    /// Factor of the loss.
    #[kwarg(default = 1.0)]
    pub loss_weight: f64,
}

impl Component for L1Loss {
    const ROLE: Role = Role::Loss;
    const NAMES: &'static [&'static str] = &["L1Loss"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<CrossEntropyLoss>(), Declared::of::<IouLoss>(), Declared::of::<L1Loss>()]
}
