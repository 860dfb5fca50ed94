//! Transforms that show a part of a picture, or more than it.
//!
//! Source: MMDetection 3.3.0 `datasets/transforms/transforms.py` (names and defaults).

use snaphook_plugin_api::Kwargs;

use super::mixing::check_positive_range;
use crate::{Colour, Component, Declared, Role, Wrong};

/// Cuts a part of a given size out of a random place.
#[derive(Kwargs)]
pub struct RandomCrop {
    /// (width, height): in pixels, or as shares of the picture; for a range, its ends.
    #[kwarg(min = 0)]
    pub crop_size: (f64, f64),
    /// What `crop_size` means.
    #[kwarg(
        default = "absolute",
        choices("absolute", "absolute_range", "relative", "relative_range")
    )]
    pub crop_type: String,
    /// Whether a part without any object is taken as well; without it such a sample is dropped.
    #[kwarg(default = false)]
    pub allow_negative_crop: bool,
    /// Has no effect: it is about masks.
    #[kwarg(default = false)]
    pub recompute_bbox: bool,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub bbox_clip_border: bool,
}

impl Component for RandomCrop {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomCrop"];

    fn check(&self) -> Result<(), Wrong> {
        let (first, second) = self.crop_size;
        let is_whole = |side: f64| side >= 1.0 && side.fract() == 0.0;
        let is_share = |side: f64| side > 0.0 && side <= 1.0;
        let (is_right, expected) = match self.crop_type.as_str() {
            "absolute" => (is_whole(first) && is_whole(second), "(width, height) in whole pixels"),
            "absolute_range" => (
                is_whole(first) && is_whole(second) && first <= second,
                "(shortest, longest) side in whole pixels",
            ),
            _ => (is_share(first) && is_share(second), "two shares above 0 and at most 1"),
        };
        Wrong::unless(is_right, "crop_size", || {
            format!("expected {expected}, found {:?}", self.crop_size)
        })
    }
}

/// Cuts out a random part that overlaps every object enough, and keeps objects whose centre is inside.
#[derive(Kwargs)]
pub struct MinIoURandomCrop {
    /// Overlaps of which one is drawn; 1 (no crop) and 0 (any part) are drawn as well.
    #[kwarg(default = [0.1, 0.3, 0.5, 0.7, 0.9], min = 0.0, max = 1.0)]
    pub min_ious: Vec<f64>,
    /// Smallest part, as a share of each side.
    #[kwarg(default = 0.3, min = 0.0, max = 1.0)]
    pub min_crop_size: f64,
    /// Whether boxes are cut at the border.
    #[kwarg(default = true)]
    pub bbox_clip_border: bool,
}

impl Component for MinIoURandomCrop {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["MinIoURandomCrop"];
}

/// Puts a picture at a random place of a larger ground.
#[derive(Kwargs)]
pub struct Expand {
    /// Value of the ground.
    #[kwarg(default = 0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub mean: Colour,
    /// Whether `mean` is given as red, green, blue.
    #[kwarg(default = true)]
    pub to_rgb: bool,
    /// Smallest and largest factor of the sides.
    #[kwarg(default = (1.0, 4.0))]
    pub ratio_range: (f64, f64),
    /// Has no effect: segmentations are not known yet.
    #[kwarg(default = None)]
    pub seg_ignore_label: Option<i64>,
    /// Probability that it happens.
    #[kwarg(default = 0.5, min = 0.0, max = 1.0)]
    pub prob: f64,
}

impl Component for Expand {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["Expand"];

    fn check(&self) -> Result<(), Wrong> {
        check_positive_range("ratio_range", self.ratio_range)?;
        Wrong::unless(self.ratio_range.0 >= 1.0, "ratio_range", || {
            format!("expected factors of at least 1, found {:?}", self.ratio_range)
        })
    }
}

/// Moves a picture by a few pixels; what is uncovered is black.
#[derive(Kwargs)]
pub struct RandomShift {
    /// Probability that it happens.
    #[kwarg(default = 0.5, min = 0.0, max = 1.0)]
    pub prob: f64,
    /// Largest move in each direction, in pixels.
    #[kwarg(default = 32, min = 0)]
    pub max_shift_px: i64,
    /// Boxes of at most this width or height are dropped, in pixels.
    #[kwarg(default = 1, min = 0)]
    pub filter_thr_px: i64,
}

impl Component for RandomShift {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomShift"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<RandomCrop>(),
        Declared::of::<MinIoURandomCrop>(),
        Declared::of::<Expand>(),
        Declared::of::<RandomShift>(),
    ]
}
