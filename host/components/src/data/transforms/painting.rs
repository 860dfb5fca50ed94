//! Transforms that change colours, or paint over parts of a picture.
//!
//! Source: MMCV 2.x `transforms`, MMDetection 3.3.0 `datasets/transforms` (names and defaults).

use snaphook_plugin_api::Kwargs;

use super::mixing::check_range;
use crate::{Colour, Component, Declared, OneOrMany, OneOrTwo, Role, Wrong};

/// Changes brightness, contrast, saturation, hue and the order of channels, each with probability one half.
#[derive(Kwargs)]
pub struct PhotoMetricDistortion {
    /// Largest change of brightness, of 255.
    #[kwarg(default = 32, min = 0)]
    pub brightness_delta: f64,
    /// Smallest and largest factor of the contrast.
    #[kwarg(default = (0.5, 1.5))]
    pub contrast_range: (f64, f64),
    /// Smallest and largest factor of the saturation.
    #[kwarg(default = (0.5, 1.5))]
    pub saturation_range: (f64, f64),
    /// Largest turn of the hue, in degrees.
    #[kwarg(default = 18, min = 0)]
    pub hue_delta: f64,
}

impl Component for PhotoMetricDistortion {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["PhotoMetricDistortion"];

    fn check(&self) -> Result<(), Wrong> {
        check_range("contrast_range", self.contrast_range, 0.0)?;
        check_range("saturation_range", self.saturation_range, 0.0)
    }
}

/// Shifts each of hue, saturation and value with probability one half.
#[derive(Kwargs)]
pub struct YoloxHsvRandomAug {
    /// Largest shift of the hue, of 180.
    #[kwarg(default = 5)]
    pub hue_delta: f64,
    /// Largest shift of the saturation, of 255.
    #[kwarg(default = 30)]
    pub saturation_delta: f64,
    /// Largest shift of the value, of 255.
    #[kwarg(default = 30)]
    pub value_delta: f64,
}

impl Component for YoloxHsvRandomAug {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["YOLOXHSVRandomAug"];
}

/// Makes a picture grey; all three channels hold the same.
#[derive(Kwargs)]
pub struct RandomGrayscale {
    /// Probability that it happens.
    #[kwarg(default = 0.1, min = 0.0, max = 1.0)]
    pub prob: f64,
    /// Pictures keep their three channels.
    #[kwarg(default = true, only(true))]
    pub keep_channels: bool,
    /// Weight of each channel, in the picture's order: blue, green and red.
    #[kwarg(default = (1.0, 1.0, 1.0), min = 0.0)]
    pub channel_weights: (f64, f64, f64),
    /// Has no effect, as in MMCV: weights are those of the channels in their order.
    #[kwarg(default = "bgr", choices("bgr", "rgb"))]
    pub color_format: String,
}

impl Component for RandomGrayscale {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomGrayscale"];

    fn check(&self) -> Result<(), Wrong> {
        let (blue, green, red) = self.channel_weights;
        Wrong::unless(blue + green + red > 0.0, "channel_weights", || {
            "expected a weight above 0, found none".to_owned()
        })
    }
}

/// Paints rectangles at random places.
#[derive(Kwargs)]
pub struct CutOut {
    /// How many: a number, or (least, most).
    #[kwarg(any_of(usize, (usize, usize)))]
    pub n_holes: OneOrTwo<usize>,
    /// (width, height) of a rectangle in pixels, or a list of them; without `cutout_ratio`.
    #[kwarg(default = None, any_of((usize, usize), Vec<(usize, usize)>))]
    pub cutout_shape: Option<PairOrPairs<usize>>,
    /// (width, height) of a rectangle as shares of the picture, or a list of them; without `cutout_shape`.
    #[kwarg(default = None, any_of((f64, f64), Vec<(f64, f64)>), min = 0.0, max = 1.0)]
    pub cutout_ratio: Option<PairOrPairs<f64>>,
    /// Blue, green and red of the rectangles.
    #[kwarg(default = 0, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub fill_in: Colour,
}

/// A pair, or a list of pairs.
pub type PairOrPairs<T> = OneOrMany<(T, T)>;

impl Component for CutOut {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["CutOut"];

    fn check(&self) -> Result<(), Wrong> {
        let is_one = self.cutout_shape.is_some() != self.cutout_ratio.is_some();
        Wrong::unless(is_one, "cutout_shape", || {
            "expected either cutout_shape or cutout_ratio".to_owned()
        })?;
        let [least, most] = self.n_holes.both();
        Wrong::unless(least <= most, "n_holes", || {
            format!("expected (least, most), found ({least}, {most})")
        })
    }
}

/// Paints rectangles inside the picture, and drops objects that they cover.
#[derive(Kwargs)]
pub struct RandomErasing {
    /// How many: a number, or (least, most).
    #[kwarg(any_of(usize, (usize, usize)))]
    pub n_patches: OneOrTwo<usize>,
    /// Their sides as a share of the picture's: a number, or (least, most).
    #[kwarg(any_of(f64, (f64, f64)), min = 0.0, max = 1.0)]
    pub ratio: OneOrTwo<f64>,
    /// Whether both sides are the same share.
    #[kwarg(default = true)]
    pub squared: bool,
    /// Objects of which at least this share is covered are dropped.
    #[kwarg(default = 0.9, min = 0.0, max = 1.0)]
    pub bbox_erased_thr: f64,
    /// Blue, green and red of the rectangles.
    #[kwarg(default = 128, any_of(f64, (f64, f64, f64)), min = 0, max = 255)]
    pub img_border_value: Colour,
    /// Has no effect: masks are not known yet.
    #[kwarg(default = 0)]
    pub mask_border_value: i64,
    /// Has no effect: segmentations are not known yet.
    #[kwarg(default = 255)]
    pub seg_ignore_label: i64,
}

impl Component for RandomErasing {
    const ROLE: Role = Role::Transform;
    const NAMES: &'static [&'static str] = &["RandomErasing"];

    fn check(&self) -> Result<(), Wrong> {
        let [least, most] = self.n_patches.both();
        Wrong::unless(least <= most, "n_patches", || {
            format!("expected (least, most), found ({least}, {most})")
        })?;
        let [least, most] = self.ratio.both();
        check_range("ratio", (least, most), 0.0)
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<PhotoMetricDistortion>(),
        Declared::of::<YoloxHsvRandomAug>(),
        Declared::of::<RandomGrayscale>(),
        Declared::of::<CutOut>(),
        Declared::of::<RandomErasing>(),
    ]
}
