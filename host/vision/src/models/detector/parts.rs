//! The backbones and necks that a detector can be put together from.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, type_name};
use snaphook_runner::Scope;
use tch::Tensor;

use crate::init_cfg::Starts;
use crate::models::{CspDarknet, Fpn, ResNet, YoloxPafpn};
use crate::nn::Mode;

/// Pictures to maps of features.
#[derive(Debug)]
pub(crate) enum Backbone {
    /// Of YOLOX.
    CspDarknet(CspDarknet),
    /// And ResNeXt.
    ResNet(ResNet),
}

impl Backbone {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<Backbone, ComponentError> {
        match type_name(Role::Backbone, value, path)? {
            "CSPDarknet" => CspDarknet::build(value, path, scope, starts).map(Backbone::CspDarknet),
            "ResNet" | "ResNeXt" => ResNet::build(value, path, scope, starts).map(Backbone::ResNet),
            _ => Err(Catalog::built_in().unknown(Role::Backbone, value, path).into()),
        }
    }

    /// Shapes: `images` [N, 3, H, W]; each map [N, C, H / stride, W / stride], fine to coarse.
    pub(crate) fn forward(&self, images: &Tensor, mode: Mode) -> Vec<Tensor> {
        match self {
            Backbone::CspDarknet(backbone) => backbone.forward(images, mode),
            Backbone::ResNet(backbone) => backbone.forward(images, mode),
        }
    }

    /// Prefixes of the layers whose parameters are not trained.
    pub(crate) fn frozen_prefixes(&self) -> Vec<String> {
        match self {
            Backbone::CspDarknet(backbone) => backbone.frozen_prefixes(),
            Backbone::ResNet(backbone) => backbone.frozen_prefixes(),
        }
    }

    /// Maps that go out.
    pub(crate) fn levels(&self) -> usize {
        match self {
            Backbone::CspDarknet(backbone) => backbone.levels(),
            Backbone::ResNet(backbone) => backbone.levels(),
        }
    }
}

/// Maps of features to maps of features.
#[derive(Debug)]
pub(crate) enum Neck {
    /// Of YOLOX.
    YoloxPafpn(YoloxPafpn),
    /// Feature pyramid network.
    Fpn(Fpn),
}

impl Neck {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<Neck, ComponentError> {
        match type_name(Role::Neck, value, path)? {
            "YOLOXPAFPN" => YoloxPafpn::build(value, path, scope, starts).map(Neck::YoloxPafpn),
            "FPN" => Fpn::build(value, path, scope, starts).map(Neck::Fpn),
            _ => Err(Catalog::built_in().unknown(Role::Neck, value, path).into()),
        }
    }

    /// Shapes: maps [N, C, H, W], fine to coarse.
    pub(crate) fn forward(&self, maps: &[Tensor], mode: Mode) -> Vec<Tensor> {
        match self {
            Neck::YoloxPafpn(neck) => neck.forward(maps, mode),
            Neck::Fpn(neck) => neck.forward(maps, mode),
        }
    }

    /// Maps that come in.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Neck::YoloxPafpn(neck) => neck.levels(),
            Neck::Fpn(neck) => neck.inputs(),
        }
    }

    /// Maps that go out.
    pub(crate) fn levels(&self) -> usize {
        match self {
            Neck::YoloxPafpn(neck) => neck.levels(),
            Neck::Fpn(neck) => neck.levels(),
        }
    }
}
