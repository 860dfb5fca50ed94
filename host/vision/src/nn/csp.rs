//! The cross stage partial layer of YOLOX: half of the channels pass bottlenecks, half go past them.
//!
//! Source: arXiv 1911.11929; MMDetection `models/layers/csp_layer.py` (names and order of the parts).

use snaphook_runner::Scope;
use tch::Tensor;

use crate::nn::{ConvBlock, ConvModule, ConvShape, Mode, Style};

/// The numbers of a [`CspLayer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CspShape {
    /// Channels that come in.
    pub(crate) in_channels: i64,
    /// Channels that go out; even.
    pub(crate) out_channels: i64,
    /// Bottlenecks one after another.
    pub(crate) blocks: i64,
    /// Whether each bottleneck adds its input to its result.
    pub(crate) add_identity: bool,
}

/// Two branches of half the channels each, joined by a convolution of 1 x 1.
#[derive(Debug)]
pub(crate) struct CspLayer {
    main: ConvModule,
    short: ConvModule,
    last: ConvModule,
    blocks: Vec<Bottleneck>,
}

impl CspLayer {
    pub(crate) fn new(scope: &Scope, shape: CspShape, style: &Style) -> CspLayer {
        let half = shape.out_channels / 2;
        let part = |name, in_channels, out_channels| {
            ConvModule::new(&scope.child(name), ConvShape::new(in_channels, out_channels, 1), style)
        };
        let main = part("main_conv", shape.in_channels, half);
        let short = part("short_conv", shape.in_channels, half);
        let last = part("final_conv", 2 * half, shape.out_channels);
        let blocks = scope.child("blocks");
        let block = |i| Bottleneck::new(&blocks.child(i), half, shape.add_identity, style);
        CspLayer { main, short, last, blocks: (0..shape.blocks).map(block).collect() }
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H, W].
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let short = self.short.forward(x, mode);
        let main = self.main.forward(x, mode);
        let main = self.blocks.iter().fold(main, |x, block| block.forward(&x, mode));
        self.last.forward(&Tensor::cat(&[main, short], 1), mode)
    }
}

/// A convolution of 1 x 1, one of 3 x 3, and a way past both.
#[derive(Debug)]
struct Bottleneck {
    first: ConvModule,
    second: ConvBlock,
    add_identity: bool,
}

impl Bottleneck {
    fn new(scope: &Scope, channels: i64, add_identity: bool, style: &Style) -> Bottleneck {
        let shape = |kernel| ConvShape::new(channels, channels, kernel);
        Bottleneck {
            first: ConvModule::new(&scope.child("conv1"), shape(1), style),
            second: ConvBlock::new(&scope.child("conv2"), shape(3), style),
            add_identity,
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let out = self.second.forward(&self.first.forward(x, mode), mode);
        if self.add_identity { out + x } else { out }
    }
}
