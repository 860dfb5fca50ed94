//! Layers as MMCV and MMDetection combine them.

mod activation;
mod batch_norm;
mod conv;
mod conv_module;
mod csp;
mod group_norm;
mod init;
mod linear;
mod mode;
mod style;

pub(crate) use activation::Activation;
pub(crate) use batch_norm::{BatchNorm, BatchNormSettings};
pub(crate) use conv::{Conv2d, ConvShape};
pub(crate) use conv_module::{ConvBlock, ConvModule};
pub(crate) use csp::{CspLayer, CspShape};
pub(crate) use group_norm::{GroupNorm, GroupNormSettings};
pub(crate) use init::{Fill, Rule, StartValues, initialise};
pub(crate) use linear::Linear;
pub(crate) use mode::Mode;
pub(crate) use style::Style;
