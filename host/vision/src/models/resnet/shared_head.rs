//! One stage of a ResNet for regions of a map, as detectors without a pyramid have it.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use super::block::BlockStyle;
use super::network::{default_starts, init_with};
use super::stage::{Stage, StageShape, architecture};
use crate::init_cfg::Starts;
use crate::nn::{Mode, Style};

/// A stage, by the name that it has in the whole network.
#[derive(Debug)]
pub(crate) struct ResLayer {
    stage: Stage,
    norm_eval: bool,
}

impl ResLayer {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<ResLayer, ComponentError> {
        let declared: declared::ResLayer = read(value, path)?;
        let norm = Style::of(declared.norm_cfg.as_ref(), None, path)?.norm.unwrap_or_default();
        let (blocks, is_bottleneck) = architecture(declared.depth);
        let style = BlockStyle {
            is_bottleneck,
            is_caffe: declared.style == "caffe",
            avg_down: false,
            groups: 1,
            base_width: 4,
            base_channels: 64,
            norm,
        };
        let init = init_with(declared.pretrained.as_deref(), declared.init_cfg.as_ref());
        starts.read(init.as_ref(), path, scope.prefix(), default_starts(scope.prefix(), None))?;
        let planes = 64 << declared.stage;
        let shape = StageShape {
            in_channels: planes / 2 * style.expansion(),
            planes,
            blocks: blocks[declared.stage],
            stride: declared.stride,
            dilation: declared.dilation,
        };
        let stage = Stage::new(&scope.child(format!("layer{}", declared.stage + 1)), shape, &style);
        Ok(ResLayer { stage, norm_eval: declared.norm_eval })
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H / stride, W / stride].
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.stage.forward(x, mode.frozen_if(self.norm_eval))
    }
}
