//! Blocks one after another.

use snaphook_runner::Scope;
use tch::Tensor;

use super::block::{Block, BlockShape, BlockStyle};
use crate::nn::Mode;

/// The numbers of a stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageShape {
    /// Channels that come in.
    pub(super) in_channels: i64,
    /// Channels of the blocks' middles.
    pub(super) planes: i64,
    /// Blocks one after another.
    pub(super) blocks: usize,
    /// Step of the first block.
    pub(super) stride: i64,
    /// Distance of the taps of 3 x 3.
    pub(super) dilation: i64,
}

/// Blocks of the same width; the first one steps.
#[derive(Debug)]
pub(super) struct Stage {
    blocks: Vec<Block>,
}

/// Blocks of each stage by the number of layers, and whether they are bottlenecks.
pub(super) fn architecture(depth: i64) -> ([usize; 4], bool) {
    match depth {
        18 => ([2, 2, 2, 2], false),
        34 => ([3, 4, 6, 3], false),
        50 => ([3, 4, 6, 3], true),
        101 => ([3, 4, 23, 3], true),
        _ => ([3, 8, 36, 3], true),
    }
}

impl Stage {
    pub(super) fn new(scope: &Scope, shape: StageShape, style: &BlockStyle) -> Stage {
        let out_channels = shape.planes * style.expansion();
        let block = |i: usize| {
            let is_first = i == 0;
            let block = BlockShape {
                in_channels: if is_first { shape.in_channels } else { out_channels },
                planes: shape.planes,
                stride: if is_first { shape.stride } else { 1 },
                dilation: shape.dilation,
                downsamples: is_first && (shape.stride != 1 || shape.in_channels != out_channels),
            };
            Block::new(&scope.child(i), block, style)
        };
        Stage { blocks: (0..shape.blocks).map(block).collect() }
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H / stride, W / stride].
    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.blocks.iter().fold(x.shallow_clone(), |x, block| block.forward(&x, mode))
    }
}
