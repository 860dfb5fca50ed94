//! The backbone of YOLOX. Knows nothing of boxes.
//!
//! Source: arXiv 2107.08430; MMDetection `models/backbones/csp_darknet.py` (keywords, numbers, names).

use serde_json::Value as Json;
use snaphook_components::vision::{self as declared, StageNumbers};
use snaphook_components::{ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use crate::init_cfg::Starts;
use crate::nn::{ConvBlock, ConvModule, ConvShape, CspLayer, CspShape, Mode, Style};

/// CSP-Darknet: a stem and four or five stages, each halving height and width.
#[derive(Debug)]
pub(crate) struct CspDarknet {
    stem: ConvModule,
    stages: Vec<Stage>,
    out_indices: Vec<usize>,
    frozen_stages: i64,
    norm_eval: bool,
}

impl CspDarknet {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<CspDarknet, ComponentError> {
        let declared: declared::CspDarknet = read(value, path)?;
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), Vec::new())?;
        let style = Style::read(&declared.style(), path)?;
        let numbers = declared.stages();
        let declared::CspDarknet { widen_factor: widen, deepen_factor: deepen, .. } = declared;
        let declared::CspDarknet { out_indices, frozen_stages, norm_eval, .. } = declared;
        let pooling = declared.spp_kernal_sizes;
        let channels = |full: f64| (full * widen) as i64;
        let stem = ConvShape::new(12, channels(numbers[0].0), 3);
        let stem = ConvModule::new(&scope.child("stem").child("conv"), stem, &style);
        let stage = |(i, &(input, output, blocks, add_identity, pools)): (usize, &StageNumbers)| {
            let shape = CspShape {
                in_channels: channels(input),
                out_channels: channels(output),
                blocks: ((blocks * deepen).round_ties_even() as i64).max(1),
                add_identity,
            };
            let scope = scope.child(format!("stage{}", i + 1));
            Stage::new(&scope, shape, pools.then_some(&pooling), &style)
        };
        let stages = numbers.iter().enumerate().map(stage).collect();
        Ok(CspDarknet { stem, stages, out_indices, frozen_stages, norm_eval })
    }

    /// The maps of `out_indices` (0 is the stem).
    ///
    /// Shapes: `images` [N, 3, H, W], both sizes divisible by 32; map i [N, C, H / 2^(i+1), W / 2^(i+1)].
    pub(crate) fn forward(&self, images: &Tensor, mode: Mode) -> Vec<Tensor> {
        let is_frozen = |layer: usize| self.norm_eval || layer as i64 <= self.frozen_stages;
        let mut x = self.stem.forward(&focus(images), mode.frozen_if(is_frozen(0)));
        let mut outputs = Vec::with_capacity(self.out_indices.len());
        for layer in 0..=self.stages.len() {
            if layer > 0 {
                x = self.stages[layer - 1].forward(&x, mode.frozen_if(is_frozen(layer)));
            }
            if self.out_indices.contains(&layer) {
                outputs.push(x.shallow_clone());
            }
        }
        outputs
    }

    /// Maps that go out.
    pub(crate) fn levels(&self) -> usize {
        self.out_indices.len()
    }

    /// Prefixes of the layers whose parameters are not trained.
    pub(crate) fn frozen_prefixes(&self) -> Vec<String> {
        let name = |layer| if layer == 0 { "stem.".into() } else { format!("stage{layer}.") };
        (0..=self.frozen_stages).map(name).collect()
    }
}

/// Moves each square of four pixels into channels: top left, bottom left, top right, bottom right.
///
/// Shapes: `x` [N, C, H, W]; the result [N, 4 C, H / 2, W / 2].
fn focus(x: &Tensor) -> Tensor {
    let (n, c, h, w) = x.size4().expect("images have four dimensions");
    x.permute([0, 2, 3, 1])
        .reshape([n, h / 2, 2, w / 2, 2, c])
        .permute([0, 1, 3, 4, 2, 5])
        .reshape([n, h / 2, w / 2, 4 * c])
        .permute([0, 3, 1, 2])
}

/// A convolution of stride 2, pyramid pooling in the last stage, and a CSP layer.
#[derive(Debug)]
struct Stage {
    conv: ConvBlock,
    pooling: Option<SppBottleneck>,
    csp: CspLayer,
}

impl Stage {
    fn new(scope: &Scope, shape: CspShape, pooling: Option<&Vec<i64>>, style: &Style) -> Stage {
        let channels = shape.out_channels;
        let conv = ConvShape::new(shape.in_channels, channels, 3).with_stride(2);
        let conv = ConvBlock::new(&scope.child(0), conv, style);
        let pooling =
            pooling.map(|kernels| SppBottleneck::new(&scope.child(1), channels, kernels, style));
        let csp = scope.child(if pooling.is_some() { 2 } else { 1 });
        let shape = CspShape { in_channels: channels, ..shape };
        Stage { conv, pooling, csp: CspLayer::new(&csp, shape, style) }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let mut x = self.conv.forward(x, mode);
        if let Some(pooling) = &self.pooling {
            x = pooling.forward(&x, mode);
        }
        self.csp.forward(&x, mode)
    }
}

/// Maxima over squares of several sizes beside the map itself, between two convolutions of 1 x 1.
#[derive(Debug)]
struct SppBottleneck {
    first: ConvModule,
    kernels: Vec<i64>,
    last: ConvModule,
}

impl SppBottleneck {
    fn new(scope: &Scope, channels: i64, kernels: &[i64], style: &Style) -> SppBottleneck {
        let half = channels / 2;
        let joined = half * (kernels.len() as i64 + 1);
        let part = |name, input, output| {
            ConvModule::new(&scope.child(name), ConvShape::new(input, output, 1), style)
        };
        SppBottleneck {
            first: part("conv1", channels, half),
            kernels: kernels.to_vec(),
            last: part("conv2", joined, channels),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let x = self.first.forward(x, mode);
        let pool = |k: &i64| x.max_pool2d([*k, *k], [1, 1], [k / 2, k / 2], [1, 1], false);
        let mut maps = vec![x.shallow_clone()];
        maps.extend(self.kernels.iter().map(pool));
        self.last.forward(&Tensor::cat(&maps, 1), mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn focus_orders_the_four_pixels_of_a_square_as_mmdetection_does() {
        // One channel of 2 x 4 pixels: rows 0 1 2 3 and 4 5 6 7.
        let x = Tensor::arange(8, (Kind::Float, Device::Cpu)).view([1, 1, 2, 4]);
        let y = focus(&x);
        assert_eq!(y.size(), [1, 4, 1, 2]);
        let values = Vec::<f32>::try_from(y.reshape([-1])).unwrap();
        assert_eq!(values, [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    }
}
