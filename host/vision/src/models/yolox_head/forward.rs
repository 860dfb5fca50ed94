//! The forward pass of the head: maps of features to numbers per prior.

use tch::{Kind, Tensor};

use super::YoloxHead;
use super::build::Level;
use crate::nn::{ConvBlock, Mode};

/// What the head says about every prior of every picture; the levels one after another.
///
/// Shapes: N pictures, P priors, C classes.
#[derive(Debug)]
pub(crate) struct HeadOutputs {
    /// Logits [N, P, C].
    pub(crate) classes: Tensor,
    /// Offsets and logarithms of sizes, in strides [N, P, 4].
    pub(crate) boxes: Tensor,
    /// Logits [N, P, 1].
    pub(crate) objectness: Tensor,
    /// Height and width of each level's map.
    pub(crate) map_sizes: Vec<(i64, i64)>,
}

impl YoloxHead {
    /// Shapes: each of `features` [N, C, H, W], fine to coarse.
    pub(crate) fn forward(&self, features: &[Tensor], mode: Mode) -> HeadOutputs {
        let (mut classes, mut boxes, mut objectness) = (Vec::new(), Vec::new(), Vec::new());
        for (level, x) in self.levels.iter().zip(features) {
            let [cls, reg, obj] = level.forward(x, mode);
            classes.push(row_per_prior(&cls));
            boxes.push(row_per_prior(&reg));
            objectness.push(row_per_prior(&obj));
        }
        HeadOutputs {
            classes: Tensor::cat(&classes, 1),
            boxes: Tensor::cat(&boxes, 1),
            objectness: Tensor::cat(&objectness, 1),
            map_sizes: features.iter().map(|x| (x.size()[2], x.size()[3])).collect(),
        }
    }
}

impl Level {
    fn forward(&self, x: &Tensor, mode: Mode) -> [Tensor; 3] {
        let tower = |blocks: &[ConvBlock]| {
            blocks.iter().fold(x.shallow_clone(), |x, block| block.forward(&x, mode))
        };
        let cls_features = tower(&self.cls_convs);
        let reg_features = tower(&self.reg_convs);
        [
            self.cls.forward(&cls_features),
            self.reg.forward(&reg_features),
            self.obj.forward(&reg_features),
        ]
    }
}

/// In mixed precision losses and assignment take f32: pixels and logits lose too much in half of it.
///
/// Shapes: `map` [N, C, H, W]; the result [N, H W, C].
fn row_per_prior(map: &Tensor) -> Tensor {
    let rows = map.permute([0, 2, 3, 1]).flatten(1, 2);
    match rows.kind() {
        Kind::Half | Kind::BFloat16 => rows.to_kind(Kind::Float),
        _ => rows,
    }
}
