//! The parts of YOLOX (arXiv 2107.08430).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Auto, Component, Declared, OneOrMany, Role, Wrong};

/// The detector YOLOX.
#[derive(Kwargs)]
pub struct Yolox {
    /// Stacks pictures into a batch.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
    /// Pictures to maps of features.
    #[kwarg(component = "backbone")]
    pub backbone: Json,
    /// Mixes maps of several sizes.
    #[kwarg(component = "neck")]
    pub neck: Json,
    /// Maps to boxes and classes.
    #[kwarg(component = "head")]
    pub bbox_head: Json,
    /// How targets are assigned in training.
    #[kwarg(settings = "YoloxTrainCfg")]
    pub train_cfg: Option<Json>,
    /// Which boxes are kept in validation and test.
    #[kwarg(settings = "YoloxTestCfg")]
    pub test_cfg: Option<Json>,
    /// Start values of a whole model: `Pretrained` alone.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for Yolox {
    const ROLE: Role = Role::Model;
    const NAMES: &'static [&'static str] = &["YOLOX"];
}

/// `train_cfg` of YOLOX.
#[derive(Kwargs)]
pub struct YoloxTrainCfg {
    /// Which prediction is to find which box; SimOTA without it.
    #[kwarg(component = "assigner")]
    pub assigner: Option<Json>,
}

impl Component for YoloxTrainCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["YoloxTrainCfg"];
}

/// `test_cfg` of YOLOX.
#[derive(Kwargs)]
pub struct YoloxTestCfg {
    /// Boxes with a score below it are left out.
    #[kwarg(default = 0.01, min = 0.0, max = 1.0)]
    pub score_thr: f32,
    /// Leaves out boxes that say the same; without it all are kept.
    #[kwarg(component = "suppression")]
    pub nms: Option<Json>,
    /// Most boxes of a picture; -1 for all.
    #[kwarg(default = -1)]
    pub max_per_img: i64,
}

impl Component for YoloxTestCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["YoloxTestCfg"];
}

/// How the convolutions of a part are made up; all parts of YOLOX take these arguments.
pub struct ConvStyle<'a> {
    /// Normalisation after each convolution; YOLOX's own without it.
    pub norm_cfg: Option<&'a Json>,
    /// Activation after that; Swish without it.
    pub act_cfg: Option<&'a Json>,
    /// Kind of convolution.
    pub conv_cfg: Option<&'a Json>,
    /// Whether convolutions of 3 x 3 are split into a depth-wise and a point-wise one.
    pub use_depthwise: bool,
}

/// A part of YOLOX: its own arguments, and those of its convolutions.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Kwargs)]
        pub struct $name {
            $($own)*
            /// Normalisation after each convolution; without it, BN of momentum 0.03 and eps 0.001.
            #[kwarg(component = "normalisation")]
            pub norm_cfg: Option<Json>,
            /// Activation after that; Swish without it.
            #[kwarg(component = "activation")]
            pub act_cfg: Option<Json>,
            /// Kind of convolution.
            #[kwarg(component = "convolution")]
            pub conv_cfg: Option<Json>,
            /// Start values; those of PyTorch without it.
            #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
            pub init_cfg: Option<OneOrMany<Json>>,
            /// Whether convolutions of 3 x 3 are split into a depth-wise and a point-wise one.
            #[kwarg(default = false)]
            pub use_depthwise: bool,
        }

        impl $name {
            /// How its convolutions are made up.
            pub fn style(&self) -> ConvStyle<'_> {
                ConvStyle {
                    norm_cfg: self.norm_cfg.as_ref(),
                    act_cfg: self.act_cfg.as_ref(),
                    conv_cfg: self.conv_cfg.as_ref(),
                    use_depthwise: self.use_depthwise,
                }
            }
        }
    };
}

/// One stage at full size: in channels, out channels, blocks, identity, pyramid pooling.
pub type StageNumbers = (f64, f64, f64, bool, bool);

const P5: [StageNumbers; 4] = [
    (64.0, 128.0, 3.0, true, false),
    (128.0, 256.0, 9.0, true, false),
    (256.0, 512.0, 9.0, true, false),
    (512.0, 1024.0, 3.0, false, true),
];
const P6: [StageNumbers; 5] = [
    (64.0, 128.0, 3.0, true, false),
    (128.0, 256.0, 9.0, true, false),
    (256.0, 512.0, 9.0, true, false),
    (512.0, 768.0, 3.0, true, false),
    (768.0, 1024.0, 3.0, false, true),
];

part! {
    /// CSP-Darknet: a stem and four or five stages, each halving height and width.
    CspDarknet {
        /// Stages of YOLOX for three (P5) or four (P6) maps.
        #[kwarg(default = "P5", choices("P5", "P6"))]
        pub arch: String,
        /// Factor for the number of blocks.
        #[kwarg(default = 1.0, min = 0.0)]
        pub deepen_factor: f64,
        /// Factor for the number of channels.
        #[kwarg(default = 1.0, min = 0.0)]
        pub widen_factor: f64,
        /// Which maps are handed on; 0 is the stem.
        #[kwarg(default = [2, 3, 4])]
        pub out_indices: Vec<usize>,
        /// Stages that are not trained, the stem being 0; -1 for none.
        #[kwarg(default = -1, min = -1)]
        pub frozen_stages: i64,
        /// Stages of one's own: in channels, out channels, blocks, identity, pyramid pooling.
        #[kwarg(default = None, any_of(Vec<(f64, f64, f64, bool, bool)>))]
        pub arch_ovewrite: Option<Vec<StageNumbers>>,
        /// Sizes of the pyramid pooling.
        #[kwarg(default = [5, 9, 13])]
        pub spp_kernal_sizes: Vec<i64>,
        /// Whether normalisations keep their running statistics.
        #[kwarg(default = false)]
        pub norm_eval: bool,
    }
}

impl CspDarknet {
    /// The stages of `arch_ovewrite` (spelt so in MMDetection), else those of `arch`.
    pub fn stages(&self) -> Vec<StageNumbers> {
        match (&self.arch_ovewrite, self.arch.as_str()) {
            (Some(own), _) if !own.is_empty() => own.clone(),
            (_, "P6") => P6.to_vec(),
            _ => P5.to_vec(),
        }
    }

    /// Channels of each map that is handed on.
    pub fn out_channels(&self) -> Vec<i64> {
        let stages = self.stages();
        let channels = |index: &usize| {
            let full = match index {
                0 => stages.first().map(|stage| stage.0),
                index => stages.get(index - 1).map(|stage| stage.1),
            };
            (full.unwrap_or(0.0) * self.widen_factor) as i64
        };
        self.out_indices.iter().map(channels).collect()
    }
}

impl Component for CspDarknet {
    const ROLE: Role = Role::Backbone;
    const NAMES: &'static [&'static str] = &["CSPDarknet"];

    fn check(&self) -> Result<(), Wrong> {
        let stages = self.stages().len();
        match self.out_indices.iter().find(|index| **index > stages) {
            None => Ok(()),
            Some(index) => {
                Err(Wrong::new("out_indices", format!("expected 0 to {stages}, found {index}")))
            }
        }
    }
}

part! {
    /// Path aggregation: features go down from coarse to fine, and up again (arXiv 1803.01534).
    YoloxPafpn {
        /// Channels of each map that comes in.
        #[kwarg(min = 1)]
        pub in_channels: Vec<i64>,
        /// Channels of each map that goes out.
        #[kwarg(min = 1)]
        pub out_channels: i64,
        /// Blocks of each layer.
        #[kwarg(default = 3, min = 0)]
        pub num_csp_blocks: i64,
        /// How maps become twice as large.
        #[kwarg(settings = "UpsampleCfg")]
        pub upsample_cfg: Option<Json>,
    }
}

impl Component for YoloxPafpn {
    const ROLE: Role = Role::Neck;
    const NAMES: &'static [&'static str] = &["YOLOXPAFPN"];
}

part! {
    /// The head of YOLOX: classes, boxes and whether there is anything, for each place of each map.
    YoloxHead {
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
        #[kwarg(default = 2, min = 0)]
        pub stacked_convs: usize,
        /// Pixels between two places, for each map.
        #[kwarg(default = [8, 16, 32], min = 1)]
        pub strides: Vec<i64>,
        /// Whether convolutions have a bias; `'auto'`: where no normalisation follows.
        #[kwarg(default = "auto", only("auto", true, false))]
        pub conv_bias: Auto<bool>,
        /// Deformable convolutions are not known yet.
        #[kwarg(default = false, only(false))]
        pub dcn_on_last_conv: bool,
        /// Loss of the classes.
        #[kwarg(component = "loss")]
        pub loss_cls: Option<Json>,
        /// Loss of the boxes' overlap.
        #[kwarg(component = "loss")]
        pub loss_bbox: Option<Json>,
        /// Loss of whether there is anything.
        #[kwarg(component = "loss")]
        pub loss_obj: Option<Json>,
        /// Loss of the boxes' numbers, in the last epochs.
        #[kwarg(component = "loss")]
        pub loss_l1: Option<Json>,
    }
}

impl Component for YoloxHead {
    const ROLE: Role = Role::Head;
    const NAMES: &'static [&'static str] = &["YOLOXHead"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Yolox>(),
        Declared::of::<CspDarknet>(),
        Declared::of::<YoloxPafpn>(),
        Declared::of::<YoloxHead>(),
        Declared::of::<YoloxTrainCfg>(),
        Declared::of::<YoloxTestCfg>(),
    ]
}
