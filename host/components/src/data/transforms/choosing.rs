//! Transforms that choose: a size among several, or other transforms.
//!
//! Source: MMCV 2.x `transforms/processing.py` and `transforms/wrappers.py` (names and defaults).

use snaphook_plugin_api::{Json, KwargValue, Kwargs};

use super::mixing::check_positive_range;
use crate::{Component, Declared, OneOrTwo, Role, Wrong};

/// A transform that draws a size, and resizes to it: its own arguments, and those of `Resize`.
macro_rules! resizing {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            $($own)*
            /// What resizes.
            #[kwarg(default = "Resize", choices("Resize", "mmdet.Resize", "FixScaleResize", "mmdet.FixScaleResize"))]
            pub resize_type: String,
            /// Whether the sides keep their ratio; the size drawn is the largest then.
            #[kwarg(default = false)]
            pub keep_ratio: bool,
            /// Whether boxes are cut at the border.
            #[kwarg(default = true)]
            pub clip_object_border: bool,
            /// There is one implementation; it computes as OpenCV does.
            #[kwarg(default = "cv2", choices("cv2"))]
            pub backend: String,
            /// How pixels between others are computed, as OpenCV does.
            #[kwarg(default = "bilinear", choices("nearest", "bilinear", "bicubic", "area", "lanczos"))]
            pub interpolation: String,
        }
    };
}

resizing! {
    /// Resizes to a random size.
    RandomResize {
        /// (width, height) that a factor is drawn for, or two sizes that the sides are drawn between.
        #[kwarg(any_of((usize, usize), ((usize, usize), (usize, usize))), min = 1, max = 65500)]
        pub scale: SizeOrSizes,
        /// Smallest and largest factor of `scale`.
        #[kwarg(default = None)]
        pub ratio_range: Option<(f64, f64)>,
    }
}

/// A size, or two of them.
pub type SizeOrSizes = OneOrTwo<(usize, usize)>;

impl Component for RandomResize {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomResize"];

    fn check(&self) -> Result<(), Wrong> {
        match (&self.scale, self.ratio_range) {
            (_, Some(range)) => check_positive_range("ratio_range", range),
            (OneOrTwo::Two(..), None) => Ok(()),
            (OneOrTwo::One(_), None) => Err(Wrong::new(
                "ratio_range",
                "expected (low, high) for the one size of scale, found nothing",
            )),
        }
    }
}

resizing! {
    /// Resizes to one of several sizes.
    RandomChoiceResize {
        /// The sizes: (width, height) each, or one number for both.
        #[kwarg(any_of(Vec<AnyOf<usize, (usize, usize)>>), min = 1, max = 65500)]
        pub scales: Vec<OneOrTwo<usize>>,
    }
}

impl Component for RandomChoiceResize {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomChoiceResize"];

    fn check(&self) -> Result<(), Wrong> {
        Wrong::unless(!self.scales.is_empty(), "scales", || {
            "expected at least one size, found none".to_owned()
        })
    }
}

/// Rows of transforms; one transform is a row of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipelines(pub Vec<Vec<Json>>);

impl KwargValue for Pipelines {
    fn read(value: &Json) -> Option<Pipelines> {
        let row = |value: &Json| match value {
            Json::Array(row) => row.clone(),
            single => vec![single.clone()],
        };
        Some(Pipelines(value.as_array()?.iter().map(row).collect()))
    }
}

/// Goes through one of several rows of transforms.
#[derive(Kwargs)]
pub struct RandomChoice {
    /// The rows: a list of transforms each, or one transform.
    #[kwarg(any_of(Vec<Json>, Vec<Vec<Json>>), component = "transform")]
    pub transforms: Pipelines,
    /// Probability of each row; all the same without it.
    #[kwarg(default = None, min = 0.0, max = 1.0)]
    pub prob: Option<Vec<f64>>,
}

impl Component for RandomChoice {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomChoice"];

    fn check(&self) -> Result<(), Wrong> {
        let count = self.transforms.0.len();
        Wrong::unless(count > 0, "transforms", || {
            "expected at least one row of transforms, found none".to_owned()
        })?;
        let Some(prob) = &self.prob else { return Ok(()) };
        let total: f64 = prob.iter().sum();
        Wrong::unless(prob.len() == count && (total - 1.0).abs() < 1e-6, "prob", || {
            format!("expected {count} probabilities that add up to 1, found {prob:?}")
        })
    }
}

/// Makes views of a picture for a test: one for each choice of one transform of every list.
#[derive(Kwargs)]
pub struct TestTimeAug {
    /// The lists.
    #[kwarg(any_of(Vec<Json>, Vec<Vec<Json>>), component = "transform")]
    pub transforms: Pipelines,
}

impl Component for TestTimeAug {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["TestTimeAug"];
}

/// Goes through a row of transforms, or not.
#[derive(Kwargs)]
pub struct RandomApply {
    /// The transforms.
    #[kwarg(any_of(Json, Vec<Json>), component = "transform")]
    pub transforms: Pipeline,
    /// Probability that it happens.
    #[kwarg(default = 0.5, min = 0.0, max = 1.0)]
    pub prob: f64,
}

/// A row of transforms, or one transform.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline(pub Vec<Json>);

impl KwargValue for Pipeline {
    fn read(value: &Json) -> Option<Pipeline> {
        Some(match value {
            Json::Array(row) => Pipeline(row.clone()),
            single => Pipeline(vec![single.clone()]),
        })
    }
}

impl Component for RandomApply {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomApply"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<RandomResize>(),
        Declared::of::<RandomChoiceResize>(),
        Declared::of::<RandomChoice>(),
        Declared::of::<RandomApply>(),
    ]
}
