//! RetinaNet and its head.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role};

/// RetinaNet (arXiv 1708.02002): classes and boxes of anchors in one stage.
#[derive(Kwargs)]
pub struct RetinaNet {
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
    /// How targets are assigned in training.
    #[kwarg(settings = "AnchorTrainCfg")]
    pub train_cfg: Option<Json>,
    /// Which boxes are kept.
    #[kwarg(settings = "DenseTestCfg")]
    pub test_cfg: Option<Json>,
    /// Start values of a whole model: `Pretrained` alone.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for RetinaNet {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["RetinaNet"];
}

/// Which boxes of anchors are kept.
#[derive(Kwargs)]
pub struct DenseTestCfg {
    /// Best boxes of each map; -1 for all.
    #[kwarg(default = -1)]
    pub nms_pre: i64,
    /// Boxes whose sides are not longer than this are left out, in pixels; -1 keeps all.
    #[kwarg(default = -1.0)]
    pub min_bbox_size: f32,
    /// Boxes with a score up to it are left out.
    #[kwarg(default = 0.0, min = 0.0, max = 1.0)]
    pub score_thr: f32,
    /// Leaves out boxes that say the same.
    #[kwarg(required, component = "suppression")]
    pub nms: Json,
    /// Most boxes of a picture; -1 for all.
    #[kwarg(default = -1)]
    pub max_per_img: i64,
}

impl Component for DenseTestCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["DenseTestCfg"];
}

/// The head of RetinaNet: classes and boxes of each anchor, by four convolutions each.
#[derive(Kwargs)]
pub struct RetinaHead {
    /// Number of classes.
    #[kwarg(min = 1)]
    pub num_classes: i64,
    /// Channels of the maps that come in.
    #[kwarg(min = 1)]
    pub in_channels: i64,
    /// Convolutions before each prediction.
    #[kwarg(default = 4)]
    pub stacked_convs: usize,
    /// Channels inside.
    #[kwarg(default = 256, min = 1)]
    pub feat_channels: i64,
    /// Kind of convolution.
    #[kwarg(component = "convolution")]
    pub conv_cfg: Option<Json>,
    /// Normalisation after each convolution; none without it.
    #[kwarg(component = "normalisation")]
    pub norm_cfg: Option<Json>,
    /// Where anchors are.
    #[kwarg(component = "anchor_generator")]
    pub anchor_generator: Option<Json>,
    /// How boxes are written.
    #[kwarg(component = "box_coder")]
    pub bbox_coder: Option<Json>,
    /// Whether the loss of boxes is one of whole boxes instead of differences.
    #[kwarg(default = false)]
    pub reg_decoded_bbox: bool,
    /// Loss of the classes.
    #[kwarg(component = "loss")]
    pub loss_cls: Option<Json>,
    /// Loss of the boxes.
    #[kwarg(component = "loss")]
    pub loss_bbox: Option<Json>,
    /// Start values; those of the paper without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for RetinaHead {
    const ROLE: Role = Role::Head;
    const NAMES: &'static [&'static str] = &["RetinaHead"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<RetinaNet>(), Declared::of::<DenseTestCfg>(), Declared::of::<RetinaHead>()]
}
