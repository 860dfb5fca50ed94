//! The blocks of a ResNet: two convolutions of 3 x 3, or one between two of 1 x 1, and a way past them.

use snaphook_runner::Scope;
use tch::Tensor;

use crate::nn::{BatchNorm, BatchNormSettings, Conv2d, ConvShape, Mode};

/// What all blocks of a network have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockStyle {
    /// Whether a block is a bottleneck.
    pub(super) is_bottleneck: bool,
    /// Whether a bottleneck steps in its first convolution.
    pub(super) is_caffe: bool,
    /// Whether shortcuts step by averaging.
    pub(super) avg_down: bool,
    /// Groups of a bottleneck's middle.
    pub(super) groups: i64,
    /// Channels of a group where `base_channels` come in.
    pub(super) base_width: i64,
    /// Channels of the first stage's middle.
    pub(super) base_channels: i64,
    /// Normalisation after each convolution.
    pub(super) norm: BatchNormSettings,
}

/// The numbers of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockShape {
    /// Channels that come in.
    pub(super) in_channels: i64,
    /// Channels of the middle.
    pub(super) planes: i64,
    /// Step in both directions.
    pub(super) stride: i64,
    /// Distance of the taps of 3 x 3.
    pub(super) dilation: i64,
    /// Whether the way past has a convolution.
    pub(super) downsamples: bool,
}

impl BlockStyle {
    /// Channels that go out, for each of the middle.
    pub(super) fn expansion(&self) -> i64 {
        if self.is_bottleneck { 4 } else { 1 }
    }

    /// Channels of a bottleneck's middle convolution.
    fn width(&self, planes: i64) -> i64 {
        if self.groups == 1 {
            return planes;
        }
        planes * self.base_width / self.base_channels * self.groups
    }

    fn convolutions(&self, shape: &BlockShape) -> Vec<ConvShape> {
        let BlockShape { in_channels, planes, stride, dilation, .. } = *shape;
        if !self.is_bottleneck {
            let first = ConvShape::new(in_channels, planes, 3).with_stride(stride);
            return vec![ConvShape { dilation, ..first }, ConvShape::new(planes, planes, 3)];
        }
        let width = self.width(planes);
        let (first, second) = if self.is_caffe { (stride, 1) } else { (1, stride) };
        let middle = ConvShape::new(width, width, 3).with_stride(second);
        vec![
            ConvShape::new(in_channels, width, 1).with_stride(first),
            ConvShape { dilation, groups: self.groups, ..middle },
            ConvShape::new(width, planes * 4, 1),
        ]
    }
}

/// Convolutions with their normalisations, and the way past them.
#[derive(Debug)]
pub(super) struct Block {
    layers: Vec<(Conv2d, BatchNorm)>,
    downsample: Option<Downsample>,
}

impl Block {
    pub(super) fn new(scope: &Scope, shape: BlockShape, style: &BlockStyle) -> Block {
        let layer = |(i, conv): (usize, &ConvShape)| {
            let number = i + 1;
            let norm = |scope: &Scope| BatchNorm::new(scope, conv.out_channels, style.norm);
            (
                Conv2d::new(&scope.child(format!("conv{number}")), *conv, false),
                norm(&scope.child(format!("bn{number}"))),
            )
        };
        let layers = style.convolutions(&shape).iter().enumerate().map(layer).collect();
        let downsample =
            shape.downsamples.then(|| Downsample::new(&scope.child("downsample"), shape, style));
        Block { layers, downsample }
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H / stride, W / stride].
    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let identity = match &self.downsample {
            Some(downsample) => downsample.forward(x, mode),
            None => x.shallow_clone(),
        };
        let last = self.layers.len() - 1;
        let mut out = x.shallow_clone();
        for (i, (conv, norm)) in self.layers.iter().enumerate() {
            out = norm.after(conv, &out, mode);
            if i < last {
                out = out.relu();
            }
        }
        // The sum is nobody else's: changing it in place saves a map.
        (out + identity).relu_()
    }
}

/// The way past a block that changes size or channels.
#[derive(Debug)]
struct Downsample {
    /// Side of the squares that are averaged first; 1 for none.
    average: i64,
    conv: Conv2d,
    norm: BatchNorm,
}

impl Downsample {
    fn new(scope: &Scope, shape: BlockShape, style: &BlockStyle) -> Downsample {
        let average = if style.avg_down { shape.stride } else { 1 };
        let first = if style.avg_down { 1 } else { 0 };
        let out_channels = shape.planes * style.expansion();
        let conv = ConvShape::new(shape.in_channels, out_channels, 1)
            .with_stride(if style.avg_down { 1 } else { shape.stride });
        Downsample {
            average,
            conv: Conv2d::new(&scope.child(first), conv, false),
            norm: BatchNorm::new(&scope.child(first + 1), out_channels, style.norm),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        if self.average == 1 {
            return self.norm.after(&self.conv, x, mode);
        }
        let both = [self.average; 2];
        let x = x.avg_pool2d(both, both, [0, 0], true, false, None::<i64>);
        self.norm.after(&self.conv, &x, mode)
    }
}
