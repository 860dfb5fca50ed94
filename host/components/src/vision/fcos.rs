//! FCOS and its head, which can be the first stage of another detector, too.

use snaphook_plugin_api::{Json, Kwargs};

use super::BatchNorm;
use crate::{Auto, Component, Declared, OneOrMany, Role, Wrong};

/// FCOS (arXiv 1904.01355): classes and boxes of places, without anchors.
#[derive(Kwargs)]
pub struct Fcos {
    /// Stacks pictures into a batch.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
    /// Pictures to maps of features.
    #[kwarg(component = "backbone")]
    pub backbone: Json,
    /// Mixes maps of several sizes.
    #[kwarg(component = "neck")]
    pub neck: Option<Json>,
    /// Maps to boxes and classes.
    #[kwarg(component = "head")]
    pub bbox_head: Json,
    /// Has no effect: the head says which place is to find which box.
    #[kwarg(default = None)]
    pub train_cfg: Option<Json>,
    /// Which boxes are kept.
    #[kwarg(settings = "DenseTestCfg")]
    pub test_cfg: Option<Json>,
    /// Start values of a whole model: `Pretrained` alone.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for Fcos {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["FCOS"];
}

/// The head of FCOS: at each place a class, the distances to the four sides of a box, and how near its middle is.
#[derive(Kwargs)]
pub struct FcosHead {
    /// Number of classes.
    #[kwarg(min = 1)]
    pub num_classes: i64,
    /// Channels of the maps that come in.
    #[kwarg(min = 1)]
    pub in_channels: i64,
    /// Channels inside.
    #[kwarg(default = 256, min = 1)]
    pub feat_channels: i64,
    /// Convolutions before each prediction.
    #[kwarg(default = 4)]
    pub stacked_convs: usize,
    /// Distance of the places of each map, in pixels.
    #[kwarg(default = [4, 8, 16, 32, 64], min = 1)]
    pub strides: Vec<i64>,
    /// Shortest and longest distance that each map is to find, in pixels; those of the paper's five maps without it.
    #[kwarg(default = None)]
    pub regress_ranges: Option<Vec<(f32, f32)>>,
    /// Whether only places near the middle of a box are to find it.
    #[kwarg(default = false)]
    pub center_sampling: bool,
    /// How near, in strides.
    #[kwarg(default = 1.5, min = 0.0)]
    pub center_sample_radius: f32,
    /// Whether distances are predicted in strides.
    #[kwarg(default = false)]
    pub norm_on_bbox: bool,
    /// Whether the middle is predicted from what boxes are predicted from, and not from what classes are.
    #[kwarg(default = false)]
    pub centerness_on_reg: bool,
    /// Deformable convolutions are not known yet.
    #[kwarg(default = false, only(false))]
    pub dcn_on_last_conv: bool,
    /// Whether convolutions have biases; where no normalisation follows with `'auto'`.
    #[kwarg(default = "auto", only("auto", true, false))]
    pub conv_bias: Auto<bool>,
    /// Kind of convolution.
    #[kwarg(component = "convolution")]
    pub conv_cfg: Option<Json>,
    /// Normalisation after each convolution; `dict(type='GN', num_groups=32)` without it.
    #[kwarg(component = "tower_normalisation")]
    pub norm_cfg: Option<Json>,
    /// How boxes are written.
    #[kwarg(component = "box_coder")]
    pub bbox_coder: Option<Json>,
    /// Loss of the classes.
    #[kwarg(component = "loss")]
    pub loss_cls: Option<Json>,
    /// Loss of the boxes, one of whole boxes.
    #[kwarg(component = "loss")]
    pub loss_bbox: Option<Json>,
    /// Loss of how near the middle is.
    #[kwarg(component = "loss")]
    pub loss_centerness: Option<Json>,
    /// Other last layers are not known yet.
    #[kwarg(default = None, only(None))]
    pub cls_predictor_cfg: Json,
    /// Start values; those of the paper without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

/// Those of the paper.
const REGRESS_RANGES: [(f32, f32); 5] =
    [(-1.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 512.0), (512.0, 1e8)];

impl FcosHead {
    /// Shortest and longest distance of each map, in pixels.
    pub fn ranges(&self) -> Vec<(f32, f32)> {
        self.regress_ranges.clone().unwrap_or_else(|| REGRESS_RANGES.to_vec())
    }
}

impl Component for FcosHead {
    const ROLE: Role = Role::Head;
    const NAMES: &'static [&'static str] = &["FCOSHead"];

    fn check(&self) -> Result<(), Wrong> {
        let (maps, found) = (self.strides.len(), self.ranges().len());
        Wrong::unless(maps == found, "regress_ranges", || {
            format!("expected one for each of {maps} strides, found {found}")
        })
    }
}

/// Distances from a place to the four sides of a box (arXiv 1904.01355, equation 1).
#[derive(Kwargs)]
pub struct DistancePointBboxCoder {
    /// Whether boxes are cut at the rim of the picture.
    #[kwarg(default = true)]
    pub clip_border: bool,
    /// Boxes are plain numbers.
    #[kwarg(default = false)]
    pub use_box_type: bool,
}

impl Component for DistancePointBboxCoder {
    const ROLE: Role = Role::BoxCoder;
    const NAMES: &'static [&'static str] = &["DistancePointBBoxCoder"];
}

/// Normalises groups of channels of each picture by itself (arXiv 1803.08494).
#[derive(Kwargs)]
pub struct GroupNorm {
    /// Number of groups.
    #[kwarg(min = 1)]
    pub num_groups: i64,
    /// Added to the variance.
    #[kwarg(default = 1e-5, min = 0.0)]
    pub eps: f64,
    /// Whether scale and shift are trained.
    #[kwarg(default = true)]
    pub requires_grad: bool,
}

impl Component for GroupNorm {
    const ROLE: Role = Role::TowerNormalisation;
    const NAMES: &'static [&'static str] = &["GN"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Fcos>(),
        Declared::of::<FcosHead>(),
        Declared::of::<DistancePointBboxCoder>(),
        Declared::of::<GroupNorm>(),
        Declared::of::<BatchNorm>().in_role(Role::TowerNormalisation),
    ]
}
