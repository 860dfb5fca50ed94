//! Which prediction is to find which box.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrTwo, Role};

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

/// Each prior goes to the box that it overlaps most, where the overlap is large enough.
#[derive(Kwargs)]
pub struct MaxIouAssigner {
    /// From this overlap on, a prior is to find the box.
    #[kwarg(min = 0.0)]
    pub pos_iou_thr: f32,
    /// Below this overlap, a prior is background; of two numbers, between them.
    #[kwarg(any_of(f32, (f32, f32)))]
    pub neg_iou_thr: OneOrTwo<f32>,
    /// A box's best priors find it from this overlap on.
    #[kwarg(default = 0.0)]
    pub min_pos_iou: f32,
    /// Whether all priors with a box's best overlap find it, or the first of them.
    #[kwarg(default = true)]
    pub gt_max_assign_all: bool,
    /// From which overlap with a crowd on a prior is left out; -1: crowds count for nothing. Others are not known yet.
    #[kwarg(default = -1, only(-1, -1.0, 0, 0.0))]
    pub ignore_iof_thr: f64,
    /// Has no effect: it is about crowds.
    #[kwarg(default = true)]
    pub ignore_wrt_candidates: bool,
    /// Whether a box's best priors find it although they overlap less than `pos_iou_thr`.
    #[kwarg(default = true)]
    pub match_low_quality: bool,
    /// Has no effect: boxes are assigned on the CPU.
    #[kwarg(default = -1.0)]
    pub gpu_assign_thr: f64,
    /// How overlaps are computed.
    #[kwarg(component = "iou_calculator")]
    pub iou_calculator: Option<Json>,
    /// Moving boxes that occur twice is not known yet.
    #[kwarg(default = None, only(None))]
    pub perm_repeat_gt_cfg: Json,
}

impl Component for MaxIouAssigner {
    const ROLE: Role = Role::Assigner;
    const NAMES: &'static [&'static str] = &["MaxIoUAssigner"];
}

/// Overlap over union of upright boxes.
#[derive(Kwargs)]
pub struct BboxOverlaps2D {
    /// Has no effect: it is about half precision.
    #[kwarg(default = 1.0)]
    pub scale: f64,
    /// Has no effect: overlaps are computed in single precision.
    #[kwarg(default = None)]
    pub dtype: Option<String>,
}

impl Component for BboxOverlaps2D {
    const ROLE: Role = Role::IouCalculator;
    const NAMES: &'static [&'static str] = &["BboxOverlaps2D"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<SimOtaAssigner>(),
        Declared::of::<MaxIouAssigner>(),
        Declared::of::<BboxOverlaps2D>(),
    ]
}
