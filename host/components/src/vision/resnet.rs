//! ResNet and ResNeXt, whole and single stages of them.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// ResNet (arXiv 1512.03385) of 18 to 152 layers, and ResNeXt (arXiv 1611.05431).
#[derive(Kwargs)]
pub struct ResNet {
    /// Number of layers.
    #[kwarg(only(18, 34, 50, 101, 152))]
    pub depth: i64,
    /// Channels of the pictures.
    #[kwarg(default = 3, min = 1)]
    pub in_channels: i64,
    /// Channels of the stem; `base_channels` without it.
    #[kwarg(default = None)]
    pub stem_channels: Option<i64>,
    /// Channels of the first stage's 3 x 3 convolutions.
    #[kwarg(default = 64, min = 1)]
    pub base_channels: i64,
    /// Stages, one to four.
    #[kwarg(default = 4, min = 1, max = 4)]
    pub num_stages: usize,
    /// Step of each stage, in pixels of its input.
    #[kwarg(default = [1, 2, 2, 2], min = 1)]
    pub strides: Vec<i64>,
    /// Distance of the 3 x 3 convolutions' taps, for each stage.
    #[kwarg(default = [1, 1, 1, 1], min = 1)]
    pub dilations: Vec<i64>,
    /// Which stages' maps are handed on; 0 is the first.
    #[kwarg(default = [0, 1, 2, 3])]
    pub out_indices: Vec<usize>,
    /// Where a bottleneck steps: in its 3 x 3 convolution (`'pytorch'`) or in its first 1 x 1 one (`'caffe'`).
    #[kwarg(default = "pytorch", choices("pytorch", "caffe"))]
    pub style: String,
    /// Whether the stem is three convolutions of 3 x 3 instead of one of 7 x 7.
    #[kwarg(default = false)]
    pub deep_stem: bool,
    /// Whether shortcuts step by averaging instead of by leaving out pixels.
    #[kwarg(default = false)]
    pub avg_down: bool,
    /// Stages that are not trained, 0 being the stem alone; -1 for none.
    #[kwarg(default = -1, min = -1, max = 4)]
    pub frozen_stages: i64,
    /// Kind of convolution.
    #[kwarg(component = "convolution")]
    pub conv_cfg: Option<Json>,
    /// Normalisation after each convolution; BN without it.
    #[kwarg(component = "normalisation")]
    pub norm_cfg: Option<Json>,
    /// Whether normalisations keep their running statistics in training.
    #[kwarg(default = true)]
    pub norm_eval: bool,
    /// Deformable convolutions are not known yet.
    #[kwarg(default = None, only(None))]
    pub dcn: Json,
    /// Has no effect: it is about deformable convolutions.
    #[kwarg(default = [])]
    pub stage_with_dcn: Vec<bool>,
    /// Layers inside of blocks are not known yet.
    #[kwarg(default = None, only(None))]
    pub plugins: Json,
    /// Has no effect: nothing is computed twice to save memory.
    #[kwarg(default = false)]
    pub with_cp: bool,
    /// Whether each block begins as the identity, where nothing else is said of start values.
    #[kwarg(default = true)]
    pub zero_init_residual: bool,
    /// MMDetection's old way to write `init_cfg=dict(type='Pretrained', checkpoint=…)`.
    #[kwarg(default = None)]
    pub pretrained: Option<String>,
    /// Start values; those of the paper without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
    /// Groups of the 3 x 3 convolutions: 1 in ResNet, 32 or 64 in ResNeXt.
    #[kwarg(default = 1, min = 1)]
    pub groups: i64,
    /// Channels of a group in the first stage, where there are several groups.
    #[kwarg(default = 4, min = 1)]
    pub base_width: i64,
}

impl Component for ResNet {
    const ROLE: Role = Role::Backbone;
    const NAMES: &'static [&'static str] = &["ResNet", "ResNeXt"];

    fn check(&self) -> Result<(), Wrong> {
        for (key, list) in [("strides", &self.strides), ("dilations", &self.dilations)] {
            Wrong::unless(list.len() == self.num_stages, key, || {
                format!("expected one for each of {} stages, found {}", self.num_stages, list.len())
            })?;
        }
        Wrong::unless(self.groups == 1 || self.depth >= 50, "groups", || {
            "expected 1, blocks of 18 and 34 layers have no groups".to_owned()
        })?;
        match self.out_indices.iter().find(|index| **index >= self.num_stages) {
            None => Ok(()),
            Some(index) => {
                let last = self.num_stages - 1;
                Err(Wrong::new("out_indices", format!("expected 0 to {last}, found {index}")))
            }
        }
    }
}

/// One stage of ResNet, for regions of a map.
#[derive(Kwargs)]
pub struct ResLayer {
    /// Number of layers of the whole ResNet.
    #[kwarg(only(18, 34, 50, 101, 152))]
    pub depth: i64,
    /// Which stage of it; 0 is the first.
    #[kwarg(default = 3, min = 1, max = 3)]
    pub stage: usize,
    /// Step, in pixels of its input.
    #[kwarg(default = 2, min = 1)]
    pub stride: i64,
    /// Distance of the 3 x 3 convolutions' taps.
    #[kwarg(default = 1, min = 1)]
    pub dilation: i64,
    /// Where a bottleneck steps, as in `ResNet`.
    #[kwarg(default = "pytorch", choices("pytorch", "caffe"))]
    pub style: String,
    /// Normalisation after each convolution; BN without it.
    #[kwarg(component = "normalisation")]
    pub norm_cfg: Option<Json>,
    /// Whether normalisations keep their running statistics in training.
    #[kwarg(default = true)]
    pub norm_eval: bool,
    /// Has no effect: nothing is computed twice to save memory.
    #[kwarg(default = false)]
    pub with_cp: bool,
    /// Deformable convolutions are not known yet.
    #[kwarg(default = None, only(None))]
    pub dcn: Json,
    /// MMDetection's old way to write `init_cfg=dict(type='Pretrained', checkpoint=…)`.
    #[kwarg(default = None)]
    pub pretrained: Option<String>,
    /// Start values; those of the paper without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

impl Component for ResLayer {
    const ROLE: Role = Role::SharedHead;
    const NAMES: &'static [&'static str] = &["ResLayer"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<ResNet>(), Declared::of::<ResLayer>()]
}
