//! The detector of two stages: its settings, and the first stage.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role};

/// Faster R-CNN (arXiv 1506.01497): a network proposes regions, a second one looks at each.
#[derive(Kwargs)]
pub struct FasterRcnn {
    /// Stacks pictures into a batch.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
    /// Pictures to maps of features.
    #[kwarg(component = "backbone")]
    pub backbone: Json,
    /// Mixes maps of several sizes.
    #[kwarg(component = "neck")]
    pub neck: Option<Json>,
    /// Maps to proposals.
    #[kwarg(component = "head")]
    pub rpn_head: Json,
    /// Proposals to boxes and classes.
    #[kwarg(component = "roi_head")]
    pub roi_head: Json,
    /// How targets are assigned in training.
    #[kwarg(settings = "FasterRcnnTrainCfg")]
    pub train_cfg: Option<Json>,
    /// Which boxes are kept.
    #[kwarg(settings = "FasterRcnnTestCfg")]
    pub test_cfg: Option<Json>,
    /// Start values of a whole model: `Pretrained` alone.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for FasterRcnn {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["FasterRCNN"];
}

/// `train_cfg` of Faster R-CNN.
#[derive(Kwargs)]
pub struct FasterRcnnTrainCfg {
    /// Targets of the first stage.
    #[kwarg(required, settings = "AnchorTrainCfg")]
    pub rpn: Json,
    /// Which proposals the second stage is trained with; those of a test without it.
    #[kwarg(settings = "RpnTestCfg")]
    pub rpn_proposal: Option<Json>,
    /// Targets of the second stage.
    #[kwarg(required, settings = "RcnnTrainCfg")]
    pub rcnn: Json,
}

impl Component for FasterRcnnTrainCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["FasterRcnnTrainCfg"];
}

/// `test_cfg` of Faster R-CNN.
#[derive(Kwargs)]
pub struct FasterRcnnTestCfg {
    /// Which proposals are kept.
    #[kwarg(required, settings = "RpnTestCfg")]
    pub rpn: Json,
    /// Which boxes are kept.
    #[kwarg(required, settings = "RcnnTestCfg")]
    pub rcnn: Json,
}

impl Component for FasterRcnnTestCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["FasterRcnnTestCfg"];
}

/// How anchors get targets.
#[derive(Kwargs)]
pub struct AnchorTrainCfg {
    /// Which anchor is to find which box.
    #[kwarg(required, component = "assigner")]
    pub assigner: Json,
    /// Which anchors take part; all without it.
    #[kwarg(component = "box_sampler")]
    pub sampler: Option<Json>,
    /// Pixels by which anchors may stand over the rim of the picture; -1 for any number.
    #[kwarg(default = -1)]
    pub allowed_border: i64,
    /// Weight of positive anchors in the loss of classes; 1 where it is not positive.
    #[kwarg(default = -1.0)]
    pub pos_weight: f64,
    /// Has no effect: there is nothing to be seen.
    #[kwarg(default = false)]
    pub debug: bool,
}

impl Component for AnchorTrainCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["AnchorTrainCfg"];
}

/// Which proposals are kept.
#[derive(Kwargs)]
pub struct RpnTestCfg {
    /// Best anchors of each map; -1 for all.
    #[kwarg(default = -1)]
    pub nms_pre: i64,
    /// Proposals of a picture.
    #[kwarg(min = 1)]
    pub max_per_img: usize,
    /// Leaves out boxes that say the same.
    #[kwarg(required, component = "suppression")]
    pub nms: Json,
    /// Boxes whose sides are not longer than this are left out, in pixels; -1 keeps all.
    #[kwarg(default = -1.0)]
    pub min_bbox_size: f32,
    /// Has no effect: an old name of `max_per_img`.
    #[kwarg(default = None)]
    pub nms_post: Option<i64>,
}

impl Component for RpnTestCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["RpnTestCfg"];
}

/// How proposals get targets.
#[derive(Kwargs)]
pub struct RcnnTrainCfg {
    /// Which proposal is to find which box.
    #[kwarg(required, component = "assigner")]
    pub assigner: Json,
    /// Which proposals take part.
    #[kwarg(required, component = "box_sampler")]
    pub sampler: Json,
    /// Weight of positive proposals in the loss of classes; 1 where it is not positive.
    #[kwarg(default = -1.0)]
    pub pos_weight: f64,
    /// Has no effect: there is nothing to be seen.
    #[kwarg(default = false)]
    pub debug: bool,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = None)]
    pub mask_size: Option<i64>,
}

impl Component for RcnnTrainCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["RcnnTrainCfg"];
}

/// Which boxes are kept.
#[derive(Kwargs)]
pub struct RcnnTestCfg {
    /// Boxes with a score up to it are left out.
    #[kwarg(default = 0.05, min = 0.0, max = 1.0)]
    pub score_thr: f32,
    /// Leaves out boxes that say the same.
    #[kwarg(required, component = "suppression")]
    pub nms: Json,
    /// Most boxes of a picture; -1 for all.
    #[kwarg(default = 100)]
    pub max_per_img: i64,
    /// Has no effect: masks do not exist here.
    #[kwarg(default = 0.5)]
    pub mask_thr_binary: f64,
}

impl Component for RcnnTestCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["RcnnTestCfg"];
}

/// The first stage: whether there is anything at each anchor, and its box.
#[derive(Kwargs)]
pub struct RpnHead {
    /// Channels of the maps that come in.
    #[kwarg(min = 1)]
    pub in_channels: i64,
    /// Channels inside.
    #[kwarg(default = 256, min = 1)]
    pub feat_channels: i64,
    /// Something or nothing: one class.
    #[kwarg(default = 1, only(1))]
    pub num_classes: i64,
    /// Convolutions before the predictions.
    #[kwarg(default = 1, min = 1)]
    pub num_convs: usize,
    /// Where anchors are.
    #[kwarg(component = "anchor_generator")]
    pub anchor_generator: Option<Json>,
    /// How boxes are written.
    #[kwarg(component = "box_coder")]
    pub bbox_coder: Option<Json>,
    /// Whether the loss of boxes is one of whole boxes instead of differences.
    #[kwarg(default = false)]
    pub reg_decoded_bbox: bool,
    /// Loss of something or nothing.
    #[kwarg(component = "loss")]
    pub loss_cls: Option<Json>,
    /// Loss of the boxes.
    #[kwarg(component = "loss")]
    pub loss_bbox: Option<Json>,
    /// Start values; normal ones of deviation 0.01 without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for RpnHead {
    const ROLE: Role = Role::Head;
    const NAMES: &'static [&'static str] = &["RPNHead"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<FasterRcnn>(),
        Declared::of::<FasterRcnnTrainCfg>(),
        Declared::of::<FasterRcnnTestCfg>(),
        Declared::of::<AnchorTrainCfg>(),
        Declared::of::<RpnTestCfg>(),
        Declared::of::<RcnnTrainCfg>(),
        Declared::of::<RcnnTestCfg>(),
        Declared::of::<RpnHead>(),
    ]
}
