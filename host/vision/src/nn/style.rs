//! What all layers of a part have in common: normalisation, activation, depth-wise or not.

use crate::BuildError;
use crate::config::Kwargs;
use crate::nn::{Activation, BatchNormSettings};

/// How the convolutions of a part are made up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Normalisation after each convolution.
    pub(crate) norm: Option<BatchNormSettings>,
    /// Activation after that.
    pub(crate) activation: Option<Activation>,
    /// Whether convolutions of 3 x 3 are split into a depth-wise and a point-wise one.
    pub(crate) depthwise: bool,
}

impl Style {
    /// Reads `norm_cfg`, `act_cfg`, `conv_cfg`, `use_depthwise` and `init_cfg` of a part of YOLOX.
    pub(crate) fn read(kwargs: &Kwargs<'_>) -> Result<Style, BuildError> {
        refuse_other_convolutions(kwargs)?;
        refuse_other_initialisation(kwargs)?;
        let yolox = BatchNormSettings { momentum: 0.03, eps: 0.001, requires_grad: true };
        let norm = kwargs.child("norm_cfg")?.map(BatchNormSettings::read).transpose()?;
        let activation = kwargs.child("act_cfg")?.map(Activation::read).transpose()?;
        Ok(Style {
            norm: Some(norm.unwrap_or(yolox)),
            activation: Some(activation.unwrap_or(Activation::Swish)),
            depthwise: kwargs.or("use_depthwise", false)?,
        })
    }
}

fn refuse_other_convolutions(kwargs: &Kwargs<'_>) -> Result<(), BuildError> {
    let Some(convolution) = kwargs.child("conv_cfg")? else { return Ok(()) };
    convolution.one_of(&["Conv2d", "Conv"])?;
    convolution.finish()
}

/// MMDetection's default is the only initialisation there is yet.
fn refuse_other_initialisation(kwargs: &Kwargs<'_>) -> Result<(), BuildError> {
    let Some(init) = kwargs.child("init_cfg")? else { return Ok(()) };
    init.one_of(&["Kaiming"])?;
    init.accept(&["layer", "a", "distribution", "mode", "nonlinearity"]);
    let is_default = init.raw("distribution").is_none_or(|value| value == "uniform")
        && init.raw("mode").is_none_or(|value| value == "fan_in")
        && init.or("a", 5.0_f64.sqrt())? == 5.0_f64.sqrt();
    if !is_default {
        return Err(kwargs.error("init_cfg", "only Kaiming, uniform, fan_in, a=sqrt(5) is known"));
    }
    init.finish()
}
