//! What happens to pictures between the data loader and the backbone.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role, Wrong};

/// Stacks pictures of bytes into one tensor: channel order, mean, deviation, padding.
#[derive(Kwargs)]
pub struct DetDataPreprocessor {
    /// Mean of each channel, after the change of order: one number or three.
    #[kwarg(default = None)]
    pub mean: Option<Vec<f64>>,
    /// Deviation of each channel.
    #[kwarg(default = None)]
    pub std: Option<Vec<f64>>,
    /// Sizes are padded to multiples of it, in pixels.
    #[kwarg(default = 1, min = 1)]
    pub pad_size_divisor: usize,
    /// Value of the padding.
    #[kwarg(default = 0.0)]
    pub pad_value: f64,
    /// Whether blue and red change places.
    #[kwarg(default = false)]
    pub bgr_to_rgb: bool,
    /// The same.
    #[kwarg(default = false)]
    pub rgb_to_bgr: bool,
    /// Changes of whole batches, in their order.
    #[kwarg(default = [], component = "batch_augment")]
    pub batch_augments: Vec<Json>,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = false)]
    pub pad_mask: bool,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = 0)]
    pub mask_pad_value: i64,
    /// Has no effect: segmentations do not exist here.
    #[kwarg(default = false)]
    pub pad_seg: bool,
    /// Has no effect: segmentations do not exist here.
    #[kwarg(default = 255)]
    pub seg_pad_value: i64,
    /// Has no effect: boxes are plain numbers already.
    #[kwarg(default = true)]
    pub boxtype2tensor: bool,
    /// Has no effect: it is about copies to a device.
    #[kwarg(default = false)]
    pub non_blocking: bool,
}

impl Component for DetDataPreprocessor {
    const ROLE: Role = Role::DataPreprocessor;
    const NAMES: &'static [&'static str] = &["DetDataPreprocessor"];

    fn check(&self) -> Result<(), Wrong> {
        check_normalisation(self.mean.as_deref(), self.std.as_deref())
    }
}

/// Whether mean and deviation go together.
pub(super) fn check_normalisation(mean: Option<&[f64]>, std: Option<&[f64]>) -> Result<(), Wrong> {
    let is_right = match (mean, std) {
        (None, None) => true,
        (Some(mean), Some(std)) => [1, 3].contains(&mean.len()) && mean.len() == std.len(),
        _ => false,
    };
    Wrong::unless(is_right, "mean", || {
        "expected mean and std with one or three numbers each".to_owned()
    })
}

/// Another size for all pictures of a batch every few iterations.
#[derive(Kwargs)]
pub struct BatchSyncRandomResize {
    /// Smallest and largest size, in pixels.
    #[kwarg]
    pub random_size_range: (f64, f64),
    /// Iterations for which a size holds.
    #[kwarg(default = 10, min = 1)]
    pub interval: u64,
    /// Sizes are multiples of it, in pixels.
    #[kwarg(default = 32, min = 1)]
    pub size_divisor: i64,
}

impl BatchSyncRandomResize {
    /// Smallest and largest size, in divisors.
    pub fn steps(&self) -> (i64, i64) {
        let steps = |size: f64| (size / self.size_divisor as f64).round_ties_even() as i64;
        (steps(self.random_size_range.0), steps(self.random_size_range.1))
    }
}

impl Component for BatchSyncRandomResize {
    const ROLE: Role = Role::BatchAugment;
    const NAMES: &'static [&'static str] = &["BatchSyncRandomResize"];

    fn check(&self) -> Result<(), Wrong> {
        let (low, high) = self.steps();
        Wrong::unless(low >= 1 && high >= low, "random_size_range", || {
            format!(
                "expected rising sizes of at least half of size_divisor, found {:?}",
                self.random_size_range
            )
        })
    }
}

/// Margins at the right and the bottom, up to a size that is the same for all batches.
#[derive(Kwargs)]
pub struct BatchFixedSizePad {
    /// Height and width, in pixels.
    #[kwarg(min = 1)]
    pub size: (usize, usize),
    /// Value of the margins, after normalisation.
    #[kwarg(default = 0.0)]
    pub img_pad_value: f64,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = false)]
    pub pad_mask: bool,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = 0)]
    pub mask_pad_value: i64,
    /// Has no effect: segmentations do not exist here.
    #[kwarg(default = false)]
    pub pad_seg: bool,
    /// Has no effect: segmentations do not exist here.
    #[kwarg(default = 255)]
    pub seg_pad_value: i64,
}

impl Component for BatchFixedSizePad {
    const ROLE: Role = Role::BatchAugment;
    const NAMES: &'static [&'static str] = &["BatchFixedSizePad"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<DetDataPreprocessor>(),
        Declared::of::<BatchSyncRandomResize>(),
        Declared::of::<BatchFixedSizePad>(),
    ]
}
