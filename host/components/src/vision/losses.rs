//! Losses by the `type` of a `loss_*` dict.

use std::str::FromStr;

use snaphook_plugin_api::Kwargs;

use crate::{Component, Declared, Role};

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
    /// Weight of each class.
    #[kwarg(default = None)]
    pub class_weight: Option<Vec<f64>>,
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

/// A loss: its own arguments, and those of every one.
macro_rules! loss {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* } $names:expr) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            $($own)*
            /// How elements become one number.
            #[kwarg(default = "mean", choices("mean", "sum"))]
            pub reduction: Reduction,
            /// Factor of the loss.
            #[kwarg(default = 1.0)]
            pub loss_weight: f64,
        }

        impl Component for $name {
            const ROLE: Role = Role::Loss;
            const NAMES: &'static [&'static str] = $names;
        }
    };
}

loss! {
    /// Absolute difference, rounded at its foot (arXiv 1504.08083, equation 3).
    SmoothL1Loss {
        /// Differences below it count by their square.
        #[kwarg(default = 1.0, min = 1e-9)]
        pub beta: f64,
    }
    &["SmoothL1Loss"]
}

loss! {
    /// 1 - generalised overlap (arXiv 1902.09630).
    GiouLoss {
        /// Smallest area.
        #[kwarg(default = 1e-6, min = 0.0)]
        pub eps: f64,
    }
    &["GIoULoss"]
}

loss! {
    /// 1 - overlap, and the distance of the middles (arXiv 1911.08287).
    DiouLoss {
        /// Smallest area.
        #[kwarg(default = 1e-6, min = 0.0)]
        pub eps: f64,
    }
    &["DIoULoss"]
}

loss! {
    /// The same, and the difference of the shapes (arXiv 1911.08287).
    CiouLoss {
        /// Smallest area.
        #[kwarg(default = 1e-6, min = 0.0)]
        pub eps: f64,
    }
    &["CIoULoss"]
}

loss! {
    /// Upper bounds of the overlap in each number of a box (arXiv 1711.00164).
    BoundedIouLoss {
        /// Values below it count by their square.
        #[kwarg(default = 0.2, min = 1e-9)]
        pub beta: f64,
        /// Smallest size.
        #[kwarg(default = 1e-3, min = 0.0)]
        pub eps: f64,
    }
    &["BoundedIoULoss"]
}

loss! {
    /// Binary cross entropy with less weight on what is right already (arXiv 1708.02002).
    FocalLoss {
        /// Each class is a question of its own.
        #[kwarg(default = true, only(true))]
        pub use_sigmoid: bool,
        /// How fast the weight falls.
        #[kwarg(default = 2.0, min = 0.0)]
        pub gamma: f64,
        /// Weight of classes that are there; the others have the rest to 1.
        #[kwarg(default = 0.25, min = 0.0, max = 1.0)]
        pub alpha: f64,
        /// Losses of probabilities are not known yet.
        #[kwarg(default = false, only(false))]
        pub activated: bool,
    }
    &["FocalLoss"]
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<CrossEntropyLoss>(),
        Declared::of::<FocalLoss>(),
        Declared::of::<IouLoss>(),
        Declared::of::<L1Loss>(),
        Declared::of::<SmoothL1Loss>(),
        Declared::of::<GiouLoss>(),
        Declared::of::<DiouLoss>(),
        Declared::of::<CiouLoss>(),
        Declared::of::<BoundedIouLoss>(),
    ]
}
