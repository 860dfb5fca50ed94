//! The neck of YOLOX: features go down from coarse to fine, and up again. Knows nothing of boxes.
//!
//! Source: arXiv 1803.01534; MMDetection `models/necks/yolox_pafpn.py` (keywords and names).

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use crate::init_cfg::Starts;
use crate::nn::{ConvBlock, ConvModule, ConvShape, CspLayer, CspShape, Mode, Style};

/// Path aggregation network.
#[derive(Debug)]
pub(crate) struct YoloxPafpn {
    reduce: Vec<ConvModule>,
    top_down: Vec<CspLayer>,
    down: Vec<ConvBlock>,
    bottom_up: Vec<CspLayer>,
    out: Vec<ConvModule>,
}

impl YoloxPafpn {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<YoloxPafpn, ComponentError> {
        let declared: declared::YoloxPafpn = read(value, path)?;
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), Vec::new())?;
        let style = Style::read(&declared.style(), path)?;
        if let Some(value) = &declared.upsample_cfg {
            // Twice as large by the nearest pixel is the only way there is yet: nothing depends on it.
            read::<declared::UpsampleCfg>(value, &format!("{path}.upsample_cfg"))?;
        }
        let (channels, out_channels) = (declared.in_channels, declared.out_channels);
        let blocks = declared.num_csp_blocks;
        let csp = |scope: Scope, input, output| {
            let (in_channels, out_channels) = (input, output);
            let shape = CspShape { in_channels, out_channels, blocks, add_identity: false };
            CspLayer::new(&scope, shape, &style)
        };
        let point = |scope: Scope, input, output| {
            ConvModule::new(&scope, ConvShape::new(input, output, 1), &style)
        };
        let half = |scope: Scope, channels| {
            ConvBlock::new(&scope, ConvShape::new(channels, channels, 3).with_stride(2), &style)
        };
        let part = |name: &str, i: usize| scope.child(name).child(i);
        let levels = channels.len();
        // The list of a kind comes whole before the next, as in a state dict of MMDetection.
        let downwards = || (1..levels).rev().enumerate();
        Ok(YoloxPafpn {
            reduce: downwards()
                .map(|(i, l)| point(part("reduce_layers", i), channels[l], channels[l - 1]))
                .collect(),
            top_down: downwards()
                .map(|(i, l)| csp(part("top_down_blocks", i), channels[l - 1] * 2, channels[l - 1]))
                .collect(),
            down: (1..levels).map(|l| half(part("downsamples", l - 1), channels[l - 1])).collect(),
            bottom_up: (1..levels)
                .map(|l| csp(part("bottom_up_blocks", l - 1), channels[l - 1] * 2, channels[l]))
                .collect(),
            out: (0..levels)
                .map(|l| point(part("out_convs", l), channels[l], out_channels))
                .collect(),
        })
    }

    /// Levels that come in and go out.
    pub(crate) fn levels(&self) -> usize {
        self.out.len()
    }

    /// Shapes: each of `inputs` [N, C, H, W], fine to coarse; the results [N, C', H, W] of the same sizes.
    pub(crate) fn forward(&self, inputs: &[Tensor], mode: Mode) -> Vec<Tensor> {
        let levels = inputs.len();
        let mut inner = vec![inputs[levels - 1].shallow_clone()];
        for (i, level) in (1..levels).rev().enumerate() {
            let coarse = self.reduce[i].forward(&inner[i], mode);
            let joined =
                Tensor::cat(&[twice_as_large(&coarse), inputs[level - 1].shallow_clone()], 1);
            inner[i] = coarse;
            inner.push(self.top_down[i].forward(&joined, mode));
        }
        inner.reverse();
        let mut outputs = vec![inner[0].shallow_clone()];
        for level in 1..levels {
            let down = self.down[level - 1].forward(&outputs[level - 1], mode);
            let joined = Tensor::cat(&[down, inner[level].shallow_clone()], 1);
            outputs.push(self.bottom_up[level - 1].forward(&joined, mode));
        }
        outputs.iter().zip(&self.out).map(|(x, conv)| conv.forward(x, mode)).collect()
    }
}

fn twice_as_large(x: &Tensor) -> Tensor {
    let (_, _, height, width) = x.size4().expect("maps have four dimensions");
    x.upsample_nearest2d([height * 2, width * 2], 2.0, 2.0)
}
