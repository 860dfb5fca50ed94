//! The feature pyramid network: coarse maps are added to finer ones. Knows nothing of boxes.
//!
//! Source: arXiv 1612.03144; MMDetection `models/necks/fpn.py` (keywords and names).

use serde_json::Value as Json;
use snaphook_components::vision::{self as declared, ExtraConvs};
use snaphook_components::{ComponentError, read};
use snaphook_runner::Scope;
use tch::Tensor;

use crate::init_cfg::Starts;
use crate::nn::{ConvModule, ConvShape, Fill, Mode, Rule, Style};

/// Lateral convolutions, the way down, and convolutions of what goes out.
#[derive(Debug)]
pub(crate) struct Fpn {
    start: usize,
    lateral: Vec<ConvModule>,
    out: Vec<ConvModule>,
    extra: Option<ExtraConvs>,
    relu_before_extra: bool,
    num_ins: usize,
    num_outs: usize,
}

impl Fpn {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<Fpn, ComponentError> {
        let declared: declared::Fpn = read(value, path)?;
        if let Some(value) = &declared.upsample_cfg {
            // The nearest pixel is the only way there is yet: nothing depends on it.
            read::<declared::FpnUpsampleCfg>(value, &format!("{path}.upsample_cfg"))?;
        }
        let style = Style::of(declared.norm_cfg.as_ref(), declared.act_cfg.as_ref(), path)?;
        let lateral_style =
            if declared.no_norm_on_lateral { Style { norm: None, ..style } } else { style };
        let xavier = Fill::Xavier { gain: 1.0, uniform: true };
        let defaults = vec![Rule::layers(scope.prefix(), &["Conv2d"], xavier)];
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), defaults)?;
        let (start, end, channels) = (declared.start_level, declared.end(), declared.out_channels);
        let used = end - start;
        let extra = declared.extra_convs();
        let mut out_shapes = vec![ConvShape::new(channels, channels, 3); used];
        for i in used..if extra.is_some() { declared.num_outs } else { used } {
            let takes_input = i == used && extra == Some(ExtraConvs::OnInput);
            let input = if takes_input { declared.in_channels[end - 1] } else { channels };
            out_shapes.push(ConvShape::new(input, channels, 3).with_stride(2));
        }
        let lateral = |(i, level): (usize, usize)| {
            let shape = ConvShape::new(declared.in_channels[level], channels, 1);
            ConvModule::new(&scope.child("lateral_convs").child(i), shape, &lateral_style)
        };
        let out = |(i, shape): (usize, &ConvShape)| {
            ConvModule::new(&scope.child("fpn_convs").child(i), *shape, &style)
        };
        Ok(Fpn {
            start,
            lateral: (start..end).enumerate().map(lateral).collect(),
            out: out_shapes.iter().enumerate().map(out).collect(),
            extra,
            relu_before_extra: declared.relu_before_extra_convs,
            num_ins: declared.in_channels.len(),
            num_outs: declared.num_outs,
        })
    }

    /// Maps that come in.
    pub(crate) fn inputs(&self) -> usize {
        self.num_ins
    }

    /// Maps that go out.
    pub(crate) fn levels(&self) -> usize {
        self.num_outs
    }

    /// Shapes: each input [N, C, H, W], fine to coarse; each output [N, C', H, W] of the same sizes, coarser ones of half
    /// the size of the one before.
    pub(crate) fn forward(&self, inputs: &[Tensor], mode: Mode) -> Vec<Tensor> {
        let used = self.lateral.len();
        let lateral = |(i, conv): (usize, &ConvModule)| conv.forward(&inputs[i + self.start], mode);
        let mut maps: Vec<Tensor> = self.lateral.iter().enumerate().map(lateral).collect();
        for i in (1..used).rev() {
            let (height, width) = (maps[i - 1].size()[2], maps[i - 1].size()[3]);
            maps[i - 1] = &maps[i - 1] + maps[i].upsample_nearest2d([height, width], None, None);
        }
        let mut outputs: Vec<Tensor> =
            maps.iter().zip(&self.out).map(|(map, conv)| conv.forward(map, mode)).collect();
        for i in used..self.num_outs {
            let previous = &outputs[i - 1];
            let next = match self.extra {
                None => previous.max_pool2d([1, 1], [2, 2], [0, 0], [1, 1], false),
                Some(source) if i == used => {
                    let source = match source {
                        ExtraConvs::OnInput => &inputs[self.start + used - 1],
                        ExtraConvs::OnLateral => &maps[used - 1],
                        ExtraConvs::OnOutput => previous,
                    };
                    self.out[i].forward(source, mode)
                }
                Some(_) if self.relu_before_extra => self.out[i].forward(&previous.relu(), mode),
                Some(_) => self.out[i].forward(previous, mode),
            };
            outputs.push(next);
        }
        outputs
    }
}
