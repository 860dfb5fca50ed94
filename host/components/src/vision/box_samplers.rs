//! Which of the assigned priors take part in a loss.

use snaphook_plugin_api::Kwargs;

use crate::{Component, Declared, Role};

/// So many priors of a picture, drawn at random, with at most a share of positive ones.
#[derive(Clone, Kwargs)]
pub struct RandomSampler {
    /// Priors of a picture.
    #[kwarg(min = 1)]
    pub num: usize,
    /// Largest share of positive ones.
    #[kwarg(min = 0.0, max = 1.0)]
    pub pos_fraction: f64,
    /// Most negative ones for each positive one; -1 for as many as there are.
    #[kwarg(default = -1, min = -1)]
    pub neg_pos_ub: i64,
    /// Whether the boxes themselves are priors, too.
    #[kwarg(default = true)]
    pub add_gt_as_proposals: bool,
}

impl Component for RandomSampler {
    const ROLE: Role = Role::BoxSampler;
    const NAMES: &'static [&'static str] = &["RandomSampler"];
}

/// All priors.
#[derive(Kwargs)]
pub struct PseudoSampler {}

impl Component for PseudoSampler {
    const ROLE: Role = Role::BoxSampler;
    const NAMES: &'static [&'static str] = &["PseudoSampler"];
}

/// So many priors of a picture, those with the largest loss of classes (arXiv 1604.03540).
#[derive(Kwargs)]
pub struct OhemSampler {
    /// Priors of a picture.
    #[kwarg(min = 1)]
    pub num: usize,
    /// Largest share of positive ones.
    #[kwarg(min = 0.0, max = 1.0)]
    pub pos_fraction: f64,
    /// Most negative ones for each positive one; -1 for as many as there are.
    #[kwarg(default = -1, min = -1)]
    pub neg_pos_ub: i64,
    /// Whether the boxes themselves are priors, too.
    #[kwarg(default = true)]
    pub add_gt_as_proposals: bool,
    /// Which loss is looked at.
    #[kwarg(default = "loss_cls", only("loss_cls"))]
    pub loss_key: String,
}

impl Component for OhemSampler {
    const ROLE: Role = Role::BoxSampler;
    const NAMES: &'static [&'static str] = &["OHEMSampler"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<RandomSampler>(),
        Declared::of::<PseudoSampler>(),
        Declared::of::<OhemSampler>(),
    ]
}
