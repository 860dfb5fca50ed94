//! The layers of a box head: convolutions, then layers of weights, shared and for each prediction.

use serde_json::Value as Json;
use snaphook_components::ComponentError;
use snaphook_components::vision::BoxHeadLayers;
use snaphook_runner::Scope;
use tch::{Kind, Tensor};

use crate::nn::{ConvModule, ConvShape, Linear, Mode, Style};

/// A chain of layers, and how many numbers come out of it.
#[derive(Debug)]
struct Branch {
    convs: Vec<ConvModule>,
    fcs: Vec<Linear>,
}

/// Everything before the two predictions.
#[derive(Debug)]
pub(super) struct Layers {
    shared: Branch,
    cls: Branch,
    reg: Branch,
    with_avg_pool: bool,
    /// Numbers of a region that the classes are predicted from.
    pub(super) cls_inputs: i64,
    /// The same for the boxes.
    pub(super) reg_inputs: i64,
}

/// What layers are made of.
pub(super) struct LayerParts<'a> {
    pub(super) numbers: BoxHeadLayers,
    pub(super) in_channels: i64,
    /// Bins of a region.
    pub(super) area: i64,
    pub(super) with_avg_pool: bool,
    pub(super) norm_cfg: Option<&'a Json>,
}

/// Builds branches, and keeps count of the numbers that come in.
struct Builder<'a> {
    scope: &'a Scope,
    style: Style,
    conv_channels: i64,
    fc_channels: i64,
    area: i64,
}

impl Builder<'_> {
    /// `inputs` are channels of a map, or numbers where the region has no places any more.
    fn branch(
        &self,
        name: &str,
        (convs, fcs): (usize, usize),
        inputs: i64,
        has_places: bool,
    ) -> (Branch, i64) {
        let mut inputs = inputs;
        let scope = self.scope.child(format!("{name}_convs"));
        let mut branch = Branch { convs: Vec::new(), fcs: Vec::new() };
        for i in 0..convs {
            let shape = ConvShape::new(inputs, self.conv_channels, 3);
            branch.convs.push(ConvModule::new(&scope.child(i), shape, &self.style));
            inputs = self.conv_channels;
        }
        if fcs > 0 && has_places {
            inputs *= self.area;
        }
        let scope = self.scope.child(format!("{name}_fcs"));
        for i in 0..fcs {
            branch.fcs.push(Linear::new(&scope.child(i), inputs, self.fc_channels));
            inputs = self.fc_channels;
        }
        (branch, inputs)
    }
}

impl Layers {
    pub(super) fn build(
        parts: &LayerParts<'_>,
        path: &str,
        scope: &Scope,
    ) -> Result<Layers, ComponentError> {
        let numbers = &parts.numbers;
        let relu = serde_json::json!({"type": "ReLU"});
        let builder = Builder {
            scope,
            style: Style::of(parts.norm_cfg, Some(&relu), path)?,
            conv_channels: numbers.conv_out_channels,
            fc_channels: numbers.fc_out_channels,
            area: if parts.with_avg_pool { 1 } else { parts.area },
        };
        let shared = (numbers.shared_convs, numbers.shared_fcs);
        let (shared, inputs) = builder.branch("shared", shared, parts.in_channels, true);
        let has_places = numbers.shared_fcs == 0;
        let last = |inputs: i64, (_, fcs): (usize, usize)| {
            if has_places && fcs == 0 { inputs * builder.area } else { inputs }
        };
        let (cls, cls_inputs) = builder.branch("cls", numbers.cls, inputs, has_places);
        let (reg, reg_inputs) = builder.branch("reg", numbers.reg, inputs, has_places);
        Ok(Layers {
            shared,
            cls,
            reg,
            with_avg_pool: parts.with_avg_pool,
            cls_inputs: last(cls_inputs, numbers.cls),
            reg_inputs: last(reg_inputs, numbers.reg),
        })
    }

    /// What the classes and the boxes are predicted from.
    ///
    /// Shapes: `x` [R, C, rows, columns]; the results [R, numbers].
    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> (Tensor, Tensor) {
        let x = self.run(&self.shared, x, mode);
        let one = |branch: &Branch| self.flat(&self.run(branch, &x, mode));
        (one(&self.cls), one(&self.reg))
    }

    fn run(&self, branch: &Branch, x: &Tensor, mode: Mode) -> Tensor {
        let x = branch.convs.iter().fold(x.shallow_clone(), |x, conv| conv.forward(&x, mode));
        if branch.fcs.is_empty() {
            return x;
        }
        branch.fcs.iter().fold(self.flat(&x), |x, layer| layer.forward(&x).relu_())
    }

    /// Rows of numbers, where there are places still.
    fn flat(&self, x: &Tensor) -> Tensor {
        match x.dim() {
            2 => x.shallow_clone(),
            _ if self.with_avg_pool => x.mean_dim([2_i64, 3].as_slice(), false, Kind::Float),
            _ => x.flatten(1, -1),
        }
    }
}
