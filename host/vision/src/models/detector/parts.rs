//! The backbones and necks that a detector can be put together from.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, read, type_name, vision as declared};
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
    /// The mean of each channel, of classifiers.
    GlobalAveragePooling,
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
            "GlobalAveragePooling" => read::<declared::GlobalAveragePooling>(value, path)
                .map(|_| Neck::GlobalAveragePooling),
            _ => Err(Catalog::built_in().unknown(Role::Neck, value, path).into()),
        }
    }

    /// Shapes: maps [N, C, H, W], fine to coarse; means [N, C].
    pub(crate) fn forward(&self, maps: &[Tensor], mode: Mode) -> Vec<Tensor> {
        match self {
            Neck::YoloxPafpn(neck) => neck.forward(maps, mode),
            Neck::Fpn(neck) => neck.forward(maps, mode),
            Neck::GlobalAveragePooling => {
                let mean = |map: &Tensor| map.mean_dim([2_i64, 3].as_slice(), false, map.kind());
                maps.iter().map(mean).collect()
            }
        }
    }

    /// Maps that come in; `None` for any number.
    pub(crate) fn inputs(&self) -> Option<usize> {
        match self {
            Neck::YoloxPafpn(neck) => Some(neck.levels()),
            Neck::Fpn(neck) => Some(neck.inputs()),
            Neck::GlobalAveragePooling => None,
        }
    }

    /// Maps that go out; `None` for as many as come in.
    pub(crate) fn levels(&self) -> Option<usize> {
        match self {
            Neck::YoloxPafpn(neck) => Some(neck.levels()),
            Neck::Fpn(neck) => Some(neck.levels()),
            Neck::GlobalAveragePooling => None,
        }
    }
}
