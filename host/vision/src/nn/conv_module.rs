//! Convolution, normalisation and activation in one block, whole or split into depth-wise and point-wise.
//!
//! Source: MMCV `cnn/bricks/{conv_module,depthwise_separable_conv_module}.py` (names of the parts).

use snaphook_runner::Scope;
use tch::Tensor;

use crate::nn::{Activation, BatchNorm, Conv2d, ConvShape, Mode, Style};

/// Convolution, normalisation, activation.
#[derive(Debug)]
pub(crate) struct ConvModule {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    activation: Option<Activation>,
}

impl ConvModule {
    /// The convolution has a bias only where no normalisation follows.
    pub(crate) fn new(scope: &Scope, shape: ConvShape, style: &Style) -> ConvModule {
        ConvModule::with_bias(scope, shape, style, style.norm.is_none())
    }

    /// The same, with or without a bias.
    pub(crate) fn with_bias(
        scope: &Scope,
        shape: ConvShape,
        style: &Style,
        bias: bool,
    ) -> ConvModule {
        ConvModule {
            conv: Conv2d::new(&scope.child("conv"), shape, bias),
            norm: style
                .norm
                .map(|norm| BatchNorm::new(&scope.child("bn"), shape.out_channels, norm)),
            activation: style.activation,
        }
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H / stride, W / stride].
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        if let (Some(norm), Some(Activation::Swish), Mode::Train) =
            (&self.norm, self.activation, mode)
        {
            return norm.forward_swish(&self.conv.forward(x));
        }
        let x = self.convolve_and_normalise(x, mode);
        self.activation.map_or_else(|| x.shallow_clone(), |activation| activation.forward(&x))
    }

    fn convolve_and_normalise(&self, x: &Tensor, mode: Mode) -> Tensor {
        match &self.norm {
            Some(norm) => norm.after(&self.conv, x, mode),
            None => self.conv.forward(x),
        }
    }
}

/// A block that is split where the style says so.
#[derive(Debug)]
pub(crate) enum ConvBlock {
    /// One convolution.
    Whole(ConvModule),
    /// A convolution per channel, then one of 1 x 1 over all channels.
    Separable {
        /// Per channel.
        depthwise: ConvModule,
        /// Over all channels.
        pointwise: ConvModule,
    },
}

impl ConvBlock {
    pub(crate) fn new(scope: &Scope, shape: ConvShape, style: &Style) -> ConvBlock {
        ConvBlock::with_bias(scope, shape, style, style.norm.is_none())
    }

    pub(crate) fn with_bias(
        scope: &Scope,
        shape: ConvShape,
        style: &Style,
        bias: bool,
    ) -> ConvBlock {
        if !style.depthwise {
            return ConvBlock::Whole(ConvModule::with_bias(scope, shape, style, bias));
        }
        let channels = shape.in_channels;
        let depthwise = ConvShape { out_channels: channels, groups: channels, ..shape };
        let pointwise = ConvShape::new(channels, shape.out_channels, 1);
        let part = |name, shape| ConvModule::with_bias(&scope.child(name), shape, style, bias);
        ConvBlock::Separable {
            depthwise: part("depthwise_conv", depthwise),
            pointwise: part("pointwise_conv", pointwise),
        }
    }

    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        match self {
            ConvBlock::Whole(module) => module.forward(x, mode),
            ConvBlock::Separable { depthwise, pointwise } => {
                pointwise.forward(&depthwise.forward(x, mode), mode)
            }
        }
    }
}
