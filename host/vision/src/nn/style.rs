//! What all layers of a part have in common: normalisation, activation, depth-wise or not.

use serde_json::Value as Json;
use snaphook_components::vision::{self, ConvStyle};
use snaphook_components::{ComponentError, read};

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
    /// Reads what the parts of YOLOX have in common; `path` is that of the part.
    pub(crate) fn read(style: &ConvStyle<'_>, path: &str) -> Result<Style, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        if let Some(value) = style.conv_cfg {
            read::<vision::Conv2d>(value, &below("conv_cfg"))?;
        }
        let norm = style.norm_cfg.map(|value| BatchNormSettings::read(value, &below("norm_cfg")));
        let activation = style.act_cfg.map(|value| Activation::read(value, &below("act_cfg")));
        let yolox = BatchNormSettings {
            momentum: 0.03,
            eps: 0.001,
            requires_grad: true,
            is_synchronized: false,
        };
        Ok(Style {
            norm: Some(norm.transpose()?.unwrap_or(yolox)),
            activation: Some(activation.transpose()?.unwrap_or(Activation::Swish)),
            depthwise: style.use_depthwise,
        })
    }

    /// Normalisation and activation as they are written; none where nothing is.
    pub(crate) fn of(
        norm_cfg: Option<&Json>,
        act_cfg: Option<&Json>,
        path: &str,
    ) -> Result<Style, ComponentError> {
        let norm =
            norm_cfg.map(|value| BatchNormSettings::read(value, &format!("{path}.norm_cfg")));
        let activation = act_cfg.map(|value| Activation::read(value, &format!("{path}.act_cfg")));
        Ok(Style { norm: norm.transpose()?, activation: activation.transpose()?, depthwise: false })
    }
}
