//! Which prediction is to find which box.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role};

/// SimOTA (arXiv 2107.08430, section 2).
#[derive(Kwargs)]
pub struct SimOtaAssigner {
    /// A prior within so many strides of a box's centre is near it.
    #[kwarg(default = 2.5, min = 0.0)]
    pub center_radius: f32,
    /// Overlaps that are summed for the number of priors of a box.
    #[kwarg(default = 10, min = 1)]
    pub candidate_topk: usize,
    /// Weight of the overlap in the cost.
    #[kwarg(default = 3.0)]
    pub iou_weight: f32,
    /// Weight of the classes in the cost.
    #[kwarg(default = 1.0)]
    pub cls_weight: f32,
    /// How overlaps are computed.
    #[kwarg(component = "iou_calculator")]
    pub iou_calculator: Option<Json>,
}

impl Component for SimOtaAssigner {
    const ROLE: Role = Role::Assigner;
    const NAMES: &'static [&'static str] = &["SimOTAAssigner"];
}

/// Overlap over union of upright boxes.
#[derive(Kwargs)]
pub struct BboxOverlaps2D {}

impl Component for BboxOverlaps2D {
    const ROLE: Role = Role::IouCalculator;
    const NAMES: &'static [&'static str] = &["BboxOverlaps2D"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<SimOtaAssigner>(), Declared::of::<BboxOverlaps2D>()]
}
