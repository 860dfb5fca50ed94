//! The feature pyramid network.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role, Wrong};

/// Feature pyramid network (arXiv 1612.03144): coarse maps are added to finer ones.
#[derive(Kwargs)]
pub struct Fpn {
    /// Channels of each map that comes in.
    #[kwarg(min = 1)]
    pub in_channels: Vec<i64>,
    /// Channels of each map that goes out.
    #[kwarg(min = 1)]
    pub out_channels: i64,
    /// Maps that go out.
    #[kwarg(min = 1)]
    pub num_outs: usize,
    /// The first map that is used.
    #[kwarg(default = 0)]
    pub start_level: usize,
    /// The last map that is used; -1 for the last that comes in.
    #[kwarg(default = -1, min = -1)]
    pub end_level: i64,
    /// Where coarser maps come from: pooling (`False`), or convolutions of the last map that comes in
    /// (`True`, `'on_input'`), of the last lateral one, or of the last that goes out.
    #[kwarg(default = false, only(false, true, "on_input", "on_lateral", "on_output"))]
    pub add_extra_convs: Json,
    /// Whether negative values are cut before those convolutions.
    #[kwarg(default = false)]
    pub relu_before_extra_convs: bool,
    /// Whether lateral convolutions have no normalisation.
    #[kwarg(default = false)]
    pub no_norm_on_lateral: bool,
    /// Kind of convolution.
    #[kwarg(component = "convolution")]
    pub conv_cfg: Option<Json>,
    /// Normalisation after each convolution; none without it.
    #[kwarg(component = "normalisation")]
    pub norm_cfg: Option<Json>,
    /// Activation after that; none without it.
    #[kwarg(component = "activation")]
    pub act_cfg: Option<Json>,
    /// How maps become larger.
    #[kwarg(settings = "FpnUpsampleCfg")]
    pub upsample_cfg: Option<Json>,
    /// Start values; Xavier's without it.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "initialisation")]
    pub init_cfg: Option<OneOrMany<Json>>,
}

/// What the convolutions of coarser maps take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraConvs {
    /// The last map that comes in.
    OnInput,
    /// The last lateral map.
    OnLateral,
    /// The last map that goes out.
    OnOutput,
}

impl Fpn {
    /// One past the last map that is used.
    pub fn end(&self) -> usize {
        usize::try_from(self.end_level).map_or(self.in_channels.len(), |level| level + 1)
    }

    /// What `add_extra_convs` says; `None` for pooling.
    pub fn extra_convs(&self) -> Option<ExtraConvs> {
        match &self.add_extra_convs {
            Json::Bool(true) => Some(ExtraConvs::OnInput),
            Json::String(name) => Some(match name.as_str() {
                "on_lateral" => ExtraConvs::OnLateral,
                "on_output" => ExtraConvs::OnOutput,
                _ => ExtraConvs::OnInput,
            }),
            _ => None,
        }
    }
}

impl Component for Fpn {
    const ROLE: Role = Role::Neck;
    const NAMES: &'static [&'static str] = &["FPN"];

    fn check(&self) -> Result<(), Wrong> {
        let (inputs, end) = (self.in_channels.len(), self.end());
        Wrong::unless(end <= inputs && self.start_level < end, "end_level", || {
            format!(
                "expected levels {} to {}, in rising order",
                self.start_level,
                inputs.max(1) - 1
            )
        })?;
        let used = end - self.start_level;
        let fits = if end == inputs { self.num_outs >= used } else { self.num_outs == used };
        Wrong::unless(fits, "num_outs", || {
            let most = if end == inputs { "at least " } else { "" };
            format!("expected {most}{used}, as many as maps are used, found {}", self.num_outs)
        })
    }
}

/// How the maps of an FPN become larger.
#[derive(Kwargs)]
pub struct FpnUpsampleCfg {
    /// Factor for both sides; the size of the finer map without it.
    #[kwarg(default = None)]
    pub scale_factor: Option<f64>,
    /// Interpolation.
    #[kwarg(default = "nearest", only("nearest"))]
    pub mode: String,
}

impl Component for FpnUpsampleCfg {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["FpnUpsampleCfg"];

    fn check(&self) -> Result<(), Wrong> {
        Wrong::unless(self.scale_factor.is_none_or(|factor| factor == 2.0), "scale_factor", || {
            format!("expected 2, found {:?}", self.scale_factor)
        })
    }
}

pub(super) fn declared() -> Vec<Declared> {
    vec![Declared::of::<Fpn>(), Declared::of::<FpnUpsampleCfg>()]
}
