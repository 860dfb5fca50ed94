//! Transforms of classifiers.
//!
//! Source: MMPretrain 1.x `datasets/transforms/processing.py`, MMCV 2.x `transforms` (names and defaults).

use snaphook_plugin_api::Kwargs;

use super::mixing::check_positive_range;
use crate::{Component, Declared, OneOrTwo, Role, Wrong};

/// Gives one edge a length; the ratio of the sides stays.
#[derive(Kwargs)]
pub struct ResizeEdge {
    /// The length, in pixels.
    #[kwarg(min = 1, max = 65500)]
    pub scale: usize,
    /// Which edge.
    #[kwarg(default = "short", choices("short", "long", "width", "height"))]
    pub edge: String,
    /// There is one implementation; it computes as OpenCV does.
    #[kwarg(default = "cv2", choices("cv2"))]
    pub backend: String,
    /// How pixels between others are computed, as OpenCV does.
    #[kwarg(default = "bilinear", choices("nearest", "bilinear", "bicubic", "area", "lanczos"))]
    pub interpolation: String,
}

impl Component for ResizeEdge {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["ResizeEdge"];
}

/// Keeps the middle of a picture; of a smaller one, all.
#[derive(Kwargs)]
pub struct CenterCrop {
    /// (width, height), or one number for both, in pixels.
    #[kwarg(any_of(usize, (usize, usize)), min = 1, max = 65500)]
    pub crop_size: OneOrTwo<usize>,
    /// Margins around smaller pictures are not known yet.
    #[kwarg(default = false, only(false))]
    pub auto_pad: bool,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub clip_object_border: bool,
}

impl Component for CenterCrop {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["CenterCrop"];
}

/// Cuts out a part of random size and shape, and resizes it.
#[derive(Kwargs)]
pub struct RandomResizedCrop {
    /// (width, height) in the end, or one number for both, in pixels.
    #[kwarg(any_of(usize, (usize, usize)), min = 1, max = 65500)]
    pub scale: OneOrTwo<usize>,
    /// Smallest and largest part, as shares of the picture's area.
    #[kwarg(default = (0.08, 1.0))]
    pub crop_ratio_range: (f64, f64),
    /// Smallest and largest ratio of width to height.
    #[kwarg(default = (0.75, 1.3333333333333333))]
    pub aspect_ratio_range: (f64, f64),
    /// Tries until the middle is taken.
    #[kwarg(default = 10)]
    pub max_attempts: usize,
    /// There is one implementation; it computes as OpenCV does.
    #[kwarg(default = "cv2", choices("cv2"))]
    pub backend: String,
    /// How pixels between others are computed, as OpenCV does.
    #[kwarg(default = "bilinear", choices("nearest", "bilinear", "bicubic", "area", "lanczos"))]
    pub interpolation: String,
}

impl Component for RandomResizedCrop {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomResizedCrop"];

    fn check(&self) -> Result<(), Wrong> {
        check_positive_range("crop_ratio_range", self.crop_ratio_range)?;
        check_positive_range("aspect_ratio_range", self.aspect_ratio_range)
    }
}

/// The end of a pipeline of a classifier.
#[derive(Kwargs)]
pub struct PackInputs {
    /// The picture.
    #[kwarg(default = "img", only("img"))]
    pub input_key: String,
    /// Has no effect: a sample always carries all that is known of it.
    #[kwarg(default = [])]
    pub algorithm_keys: Vec<String>,
    /// Has no effect: a sample always carries all of them.
    #[kwarg(default = None)]
    pub meta_keys: Option<Vec<String>>,
}

impl Component for PackInputs {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["PackInputs"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<ResizeEdge>(),
        Declared::of::<CenterCrop>(),
        Declared::of::<RandomResizedCrop>(),
        Declared::of::<PackInputs>(),
    ]
}
