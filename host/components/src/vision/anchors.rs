//! Anchors: where they are, and how boxes are written as differences from them.

use snaphook_plugin_api::Kwargs;

use crate::{Component, Declared, OneOrTwo, Role, Wrong};

/// Boxes of several sizes and shapes at each place of each map (arXiv 1506.01497, section 3.1.1).
#[derive(Kwargs)]
pub struct AnchorGenerator {
    /// Pixels between two places, for each map: one number, or width and height.
    #[kwarg(any_of(Vec<i64>, Vec<(i64, i64)>))]
    pub strides: Vec<OneOrTwo<i64>>,
    /// Height over width.
    #[kwarg(min = 0.0)]
    pub ratios: Vec<f64>,
    /// Sizes, in base sizes.
    #[kwarg(default = None)]
    pub scales: Option<Vec<f64>>,
    /// Size that scales count from, for each map; the stride without it.
    #[kwarg(default = None)]
    pub base_sizes: Option<Vec<f64>>,
    /// Whether all scales of a ratio follow one another, or all ratios of a scale.
    #[kwarg(default = true)]
    pub scale_major: bool,
    /// Smallest scale, where scales are given by octaves.
    #[kwarg(default = None)]
    pub octave_base_scale: Option<f64>,
    /// Scales from one to the double of it.
    #[kwarg(default = None)]
    pub scales_per_octave: Option<i64>,
    /// Middle of the first place's anchors, for each map.
    #[kwarg(default = None)]
    pub centers: Option<Vec<(f64, f64)>>,
    /// The same in base sizes.
    #[kwarg(default = 0.0, min = 0.0, max = 1.0)]
    pub center_offset: f64,
    /// Has no effect: boxes are plain numbers here.
    #[kwarg(default = false)]
    pub use_box_type: bool,
}

impl AnchorGenerator {
    /// The scales, however they are given.
    pub fn all_scales(&self) -> Vec<f64> {
        match (&self.scales, self.octave_base_scale, self.scales_per_octave) {
            (Some(scales), _, _) => scales.clone(),
            (None, Some(base), Some(count)) => {
                (0..count).map(|i| 2_f64.powf(i as f64 / count as f64) * base).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Component for AnchorGenerator {
    const ROLE: Role = Role::AnchorGenerator;
    const NAMES: &'static [&'static str] = &["AnchorGenerator"];

    fn check(&self) -> Result<(), Wrong> {
        let octaves = self.octave_base_scale.is_some() && self.scales_per_octave.is_some();
        Wrong::unless(octaves != self.scales.is_some(), "scales", || {
            "expected either scales, or octave_base_scale with scales_per_octave".to_owned()
        })?;
        for (name, is_empty) in
            [("ratios", self.ratios.is_empty()), ("scales", self.all_scales().is_empty())]
        {
            Wrong::unless(!is_empty, name, || "expected at least one, found none".to_owned())?;
        }
        let levels = self.strides.len();
        let fits = self.base_sizes.as_ref().is_none_or(|sizes| sizes.len() == levels);
        Wrong::unless(fits, "base_sizes", || format!("expected one for each of {levels} strides"))?;
        let fits = self.centers.as_ref().is_none_or(|centers| centers.len() == levels);
        Wrong::unless(fits, "centers", || format!("expected one for each of {levels} strides"))
    }
}

/// A box as differences from another: middle in sizes of that, logarithm of the ratio of sizes
/// (arXiv 1311.2524, appendix C).
#[derive(Kwargs)]
pub struct DeltaXywhBboxCoder {
    /// Taken away from the differences.
    #[kwarg(default = [0.0, 0.0, 0.0, 0.0])]
    pub target_means: Vec<f64>,
    /// Divides the differences.
    #[kwarg(default = [1.0, 1.0, 1.0, 1.0])]
    pub target_stds: Vec<f64>,
    /// Whether boxes are cut at the rim of the picture.
    #[kwarg(default = true)]
    pub clip_border: bool,
    /// A bound of how far a middle moves is not known yet.
    #[kwarg(default = false, only(false))]
    pub add_ctr_clamp: bool,
    /// Has no effect: it is about that bound.
    #[kwarg(default = 32)]
    pub ctr_clamp: i64,
    /// Has no effect: boxes are plain numbers here.
    #[kwarg(default = false)]
    pub use_box_type: bool,
}

impl Component for DeltaXywhBboxCoder {
    const ROLE: Role = Role::BoxCoder;
    const NAMES: &'static [&'static str] = &["DeltaXYWHBBoxCoder"];

    fn check(&self) -> Result<(), Wrong> {
        for (key, list) in
            [("target_means", &self.target_means), ("target_stds", &self.target_stds)]
        {
            Wrong::unless(list.len() == 4, key, || {
                format!("expected four numbers, found {}", list.len())
            })?;
        }
        Ok(())
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<AnchorGenerator>(), Declared::of::<DeltaXywhBboxCoder>()]
}
