//! The convolutions before a prediction, each with its normalisation.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, type_name};
use snaphook_runner::Scope;
use tch::Tensor;

use crate::nn::{
    BatchNorm, BatchNormSettings, Conv2d, ConvShape, GroupNorm, GroupNormSettings, Mode,
};

/// Groups where nothing is said.
const GROUPS: i64 = 32;

/// What a `norm_cfg` of a tower says.
#[derive(Clone, Copy, Debug)]
pub(super) enum TowerNorm {
    Batch(BatchNormSettings),
    Group(GroupNormSettings),
}

impl TowerNorm {
    /// Errors: groups that do not divide the channels.
    pub(super) fn read(
        value: Option<&Json>,
        path: &str,
        channels: i64,
    ) -> Result<TowerNorm, ComponentError> {
        let settings = match value {
            None => GroupNormSettings::with_groups(GROUPS),
            Some(value) => match type_name(Role::TowerNormalisation, value, path)? {
                "GN" => GroupNormSettings::read(value, path)?,
                "BN" | "BN2d" | "SyncBN" => {
                    return BatchNormSettings::read(value, path).map(TowerNorm::Batch);
                }
                _ => {
                    let role = Role::TowerNormalisation;
                    return Err(Catalog::built_in().unknown(role, value, path).into());
                }
            },
        };
        settings.check(channels, path)?;
        Ok(TowerNorm::Group(settings))
    }
}

#[derive(Debug)]
enum Norm {
    Batch(BatchNorm),
    Group(GroupNorm),
}

/// Convolutions of 3 x 3, one after another.
#[derive(Debug)]
pub(super) struct Tower(Vec<(Conv2d, Norm)>);

/// The numbers of a tower.
#[derive(Clone, Copy, Debug)]
pub(super) struct TowerShape {
    pub(super) in_channels: i64,
    pub(super) channels: i64,
    pub(super) convs: usize,
    pub(super) norm: TowerNorm,
    pub(super) has_bias: bool,
}

impl Tower {
    pub(super) fn new(scope: &Scope, shape: TowerShape) -> Tower {
        let layer = |i: usize| {
            let scope = scope.child(i);
            let input = if i == 0 { shape.in_channels } else { shape.channels };
            let conv = ConvShape::new(input, shape.channels, 3);
            let conv = Conv2d::new(&scope.child("conv"), conv, shape.has_bias);
            let norm = match shape.norm {
                TowerNorm::Batch(settings) => {
                    Norm::Batch(BatchNorm::new(&scope.child("bn"), shape.channels, settings))
                }
                TowerNorm::Group(settings) => {
                    Norm::Group(GroupNorm::new(&scope.child("gn"), shape.channels, settings))
                }
            };
            (conv, norm)
        };
        Tower((0..shape.convs).map(layer).collect())
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H, W].
    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.0.iter().fold(x.shallow_clone(), |x, (conv, norm)| match norm {
            Norm::Batch(norm) => norm.after(conv, &x, mode).relu(),
            Norm::Group(norm) => norm.forward(&conv.forward(&x)).relu(),
        })
    }
}
