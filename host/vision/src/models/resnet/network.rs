//! The whole network: stem and stages.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use super::block::BlockStyle;
use super::stage::{Stage, StageShape, architecture};
use crate::init_cfg::Starts;
use crate::nn::{BatchNorm, BatchNormSettings, Conv2d, ConvShape, Fill, Mode, Rule, Style};

/// Stem and up to four stages.
#[derive(Debug)]
pub(crate) struct ResNet {
    stem: Vec<(Conv2d, BatchNorm)>,
    stages: Vec<Stage>,
    out_indices: Vec<usize>,
    frozen_stages: i64,
    norm_eval: bool,
    deep_stem: bool,
}

impl ResNet {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<ResNet, ComponentError> {
        let declared: declared::ResNet = read(value, path)?;
        let norm = Style::of(declared.norm_cfg.as_ref(), None, path)?.norm.unwrap_or_default();
        if let Some(value) = &declared.conv_cfg {
            read::<declared::Conv2d>(value, &format!("{path}.conv_cfg"))?;
        }
        let (blocks, is_bottleneck) = architecture(declared.depth);
        let style = BlockStyle {
            is_bottleneck,
            is_caffe: declared.style == "caffe",
            avg_down: declared.avg_down,
            groups: declared.groups,
            base_width: declared.base_width,
            base_channels: declared.base_channels,
            norm,
        };
        let defaults =
            default_starts(scope.prefix(), declared.zero_init_residual.then_some(is_bottleneck));
        let init = init_with(declared.pretrained.as_deref(), declared.init_cfg.as_ref());
        starts.read(init.as_ref(), path, scope.prefix(), defaults)?;
        let stem_channels = declared.stem_channels.unwrap_or(declared.base_channels);
        let numbers = (declared.in_channels, stem_channels, declared.deep_stem);
        let stem = stem(scope, numbers, norm);
        let mut in_channels = stem_channels;
        let stage = |i: usize| {
            let planes = declared.base_channels << i;
            let shape = StageShape {
                in_channels,
                planes,
                blocks: blocks[i],
                stride: declared.strides[i],
                dilation: declared.dilations[i],
            };
            in_channels = planes * style.expansion();
            Stage::new(&scope.child(format!("layer{}", i + 1)), shape, &style)
        };
        let stages = (0..declared.num_stages).map(stage).collect();
        let declared::ResNet { out_indices, frozen_stages, norm_eval, deep_stem, .. } = declared;
        Ok(ResNet { stem, stages, out_indices, frozen_stages, norm_eval, deep_stem })
    }

    /// The maps of `out_indices` (0 is the first stage's).
    ///
    /// Shapes: `images` [N, C, H, W]; map i [N, C', H / 4 / strides so far, W / 4 / strides so far].
    pub(crate) fn forward(&self, images: &Tensor, mode: Mode) -> Vec<Tensor> {
        let is_frozen = |layer: usize| self.norm_eval || layer as i64 <= self.frozen_stages;
        let stem_mode = mode.frozen_if(is_frozen(0));
        let mut x = images.shallow_clone();
        for (conv, norm) in &self.stem {
            x = norm.after(conv, &x, stem_mode).relu_();
        }
        x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        let mut outputs = Vec::with_capacity(self.out_indices.len());
        for (i, stage) in self.stages.iter().enumerate() {
            x = stage.forward(&x, mode.frozen_if(is_frozen(i + 1)));
            if self.out_indices.contains(&i) {
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
        let stem: &[&str] = if self.deep_stem { &["stem."] } else { &["conv1.", "bn1."] };
        let stem = stem.iter().filter(|_| self.frozen_stages >= 0).map(|name| (*name).to_owned());
        stem.chain((1..=self.frozen_stages).map(|layer| format!("layer{layer}."))).collect()
    }
}

/// `pretrained='…'` is the old way to write `init_cfg`.
pub(super) fn init_with(
    pretrained: Option<&str>,
    init_cfg: Option<&snaphook_components::OneOrMany<Json>>,
) -> Option<snaphook_components::OneOrMany<Json>> {
    match pretrained {
        Some(checkpoint) => Some(snaphook_components::OneOrMany::One(
            serde_json::json!({"type": "Pretrained", "checkpoint": checkpoint}),
        )),
        None => init_cfg.cloned(),
    }
}

/// Those of the paper; where it is said whether blocks are bottlenecks, each begins as the identity.
pub(super) fn default_starts(prefix: &str, is_bottleneck: Option<bool>) -> Vec<Rule> {
    let gain = 2.0_f64.sqrt();
    let kaiming = Fill::Kaiming { gain, fan_out: true, uniform: false };
    let mut rules = vec![
        Rule::layers(prefix, &["Conv2d"], kaiming),
        Rule::layers(prefix, &["_BatchNorm"], Fill::Constant(1.0)),
    ];
    if let Some(is_bottleneck) = is_bottleneck {
        let name = if is_bottleneck { "bn3" } else { "bn2" };
        rules.push(Rule::part(prefix, name, Fill::Constant(0.0)));
    }
    rules
}

fn stem(
    scope: &Scope,
    (in_channels, channels, is_deep): (i64, i64, bool),
    norm: BatchNormSettings,
) -> Vec<(Conv2d, BatchNorm)> {
    if !is_deep {
        let conv = ConvShape::new(in_channels, channels, 7).with_stride(2);
        let conv = Conv2d::new(&scope.child("conv1"), conv, false);
        return vec![(conv, BatchNorm::new(&scope.child("bn1"), channels, norm))];
    }
    let scope = scope.child("stem");
    let half = channels / 2;
    let shapes = [(in_channels, half, 2), (half, half, 1), (half, channels, 1)];
    let layer = |(i, (input, output, stride)): (usize, (i64, i64, i64))| {
        let conv = ConvShape::new(input, output, 3).with_stride(stride);
        let place = 3 * i;
        let conv = Conv2d::new(&scope.child(place), conv, false);
        (conv, BatchNorm::new(&scope.child(place + 1), output, norm))
    };
    shapes.into_iter().enumerate().map(layer).collect()
}
