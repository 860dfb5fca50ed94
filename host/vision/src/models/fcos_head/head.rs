//! Layers and settings of the head, and its forward pass.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{Auto, ComponentError, Problem, ProblemKind, read};
use snaphook_runner::{Layer, Scope};
use tch::{Kind, Tensor};

use super::places::PlaceCache;
use super::targets::PlaceRules;
use super::tower::{Tower, TowerNorm, TowerShape};
use crate::init_cfg::Starts;
use crate::losses::{BinaryCrossEntropy, BoxLoss, ClassLoss, ClassOutputs};
use crate::nn::{Conv2d, ConvShape, Fill, Mode, Rule};

/// A class is taken to be there with this probability at first.
const PRIOR_PROBABILITY: f64 = 0.01;

/// Towers for all maps, and what is made of their predictions.
#[derive(Debug)]
pub(crate) struct FcosHead {
    layers: Layers,
    pub(super) places: PlaceCache,
    pub(super) rules: PlaceRules,
    pub(super) losses: Losses,
    pub(super) clips_border: bool,
    /// Whether distances are predicted in strides.
    pub(super) in_strides: bool,
    pub(crate) num_classes: i64,
}

#[derive(Debug)]
struct Layers {
    cls_tower: Tower,
    reg_tower: Tower,
    cls: Conv2d,
    reg: Conv2d,
    centerness: Conv2d,
    /// Factor of each map's distances. Shapes: [] each.
    scales: Vec<Tensor>,
    centerness_on_reg: bool,
}

#[derive(Debug)]
pub(super) struct Losses {
    pub(super) cls: ClassLoss,
    pub(super) bbox: BoxLoss,
    pub(super) centerness: BinaryCrossEntropy,
}

/// The predictions of all maps, fine to coarse; N pictures, P places of a map.
pub(crate) struct Outputs {
    /// Logits. Shapes: [N, P, outputs] each.
    pub(super) classes: Vec<Tensor>,
    /// Left, top, right, bottom, in pixels or strides. Shapes: [N, P, 4] each.
    pub(super) distances: Vec<Tensor>,
    /// Logits. Shapes: [N, P] each.
    pub(super) centerness: Vec<Tensor>,
    /// Height and width of each map.
    pub(super) sizes: Vec<(i64, i64)>,
}

impl FcosHead {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<FcosHead, ComponentError> {
        let declared: declared::FcosHead = read(value, path)?;
        let below = |key: &str| format!("{path}.{key}");
        if let Some(value) = &declared.conv_cfg {
            read::<declared::Conv2d>(value, &below("conv_cfg"))?;
        }
        let clips_border = match &declared.bbox_coder {
            None => true,
            Some(value) => {
                read::<declared::DistancePointBboxCoder>(value, &below("bbox_coder"))?.clip_border
            }
        };
        let normal = Fill::Normal { mean: 0.0, std: 0.01 };
        let bias = -((1.0 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY).ln();
        let defaults = vec![
            Rule::layers(scope.prefix(), &["Conv2d"], normal),
            Rule { bias, ..Rule::part(scope.prefix(), "conv_cls", normal) },
        ];
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), defaults)?;
        let losses = Losses::read(&declared, path)?;
        let reach = |stride: &i64| *stride as f32 * declared.center_sample_radius;
        let radii = declared.center_sampling.then(|| declared.strides.iter().map(reach).collect());
        Ok(FcosHead {
            layers: Layers::build(&declared, path, scope, &losses)?,
            places: PlaceCache::new(declared.strides.clone(), scope.device()),
            rules: PlaceRules { ranges: declared.ranges(), radii },
            losses,
            clips_border,
            in_strides: declared.norm_on_bbox,
            num_classes: declared.num_classes,
        })
    }

    /// Maps that it predicts on.
    pub(crate) fn levels(&self) -> usize {
        self.layers.scales.len()
    }

    /// Factors begin at one.
    pub(crate) fn set_scales(&self) {
        tch::no_grad(|| {
            self.layers.scales.iter().for_each(|scale| drop(scale.shallow_clone().fill_(1.0)));
        });
    }

    /// Shapes: each of `features` [N, C, H, W].
    pub(super) fn forward(&self, features: &[Tensor], mode: Mode) -> Outputs {
        let (layers, mut outputs) = (&self.layers, Outputs::default());
        for (x, scale) in features.iter().zip(&layers.scales) {
            let for_classes = layers.cls_tower.forward(x, mode);
            let for_boxes = layers.reg_tower.forward(x, mode);
            let middle_from = if layers.centerness_on_reg { &for_boxes } else { &for_classes };
            let classes = layers.cls.forward(&for_classes);
            let distances = layers.reg.forward(&for_boxes) * scale;
            let distances = rows(&distances, 4);
            outputs.sizes.push((x.size()[2], x.size()[3]));
            outputs.classes.push(rows(&classes, classes.size()[1]));
            outputs.distances.push(match self.in_strides {
                true => distances.clamp_min(0.0),
                false => distances.exp(),
            });
            let centerness = rows(&layers.centerness.forward(middle_from), 1);
            outputs.centerness.push(centerness.squeeze_dim(2));
        }
        outputs
    }
}

impl Default for Outputs {
    fn default() -> Outputs {
        let (classes, distances, centerness, sizes) = Default::default();
        Outputs { classes, distances, centerness, sizes }
    }
}

impl Layers {
    fn build(
        declared: &declared::FcosHead,
        path: &str,
        scope: &Scope,
        losses: &Losses,
    ) -> Result<Layers, ComponentError> {
        let channels = declared.feat_channels;
        let norm_path = format!("{path}.norm_cfg");
        let shape = TowerShape {
            in_channels: declared.in_channels,
            channels,
            convs: declared.stacked_convs,
            norm: TowerNorm::read(declared.norm_cfg.as_ref(), &norm_path, channels)?,
            // With a normalisation, which a tower always has, a bias is left out where nothing else is said.
            has_bias: matches!(declared.conv_bias, Auto::Given(true)),
        };
        let tower = |name: &str| Tower::new(&scope.child(name), shape);
        let (cls_tower, reg_tower) = (tower("cls_convs"), tower("reg_convs"));
        let inputs = if declared.stacked_convs == 0 { declared.in_channels } else { channels };
        let last = |name: &str, numbers: i64| {
            Conv2d::new(&scope.child(name), ConvShape::new(inputs, numbers, 3), true)
        };
        let cls = last("conv_cls", losses.cls.outputs(declared.num_classes));
        let (reg, centerness) = (last("conv_reg", 4), last("conv_centerness", 1));
        let scales = scope.child("scales");
        let scale = |i: usize| scales.child(i).parameter("scale", &[], Layer::Other);
        Ok(Layers {
            cls_tower,
            reg_tower,
            cls,
            reg,
            centerness,
            scales: (0..declared.strides.len()).map(scale).collect(),
            centerness_on_reg: declared.centerness_on_reg,
        })
    }
}

impl Losses {
    fn read(declared: &declared::FcosHead, path: &str) -> Result<Losses, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        let classes = declared.num_classes;
        let outputs = ClassOutputs { sigmoid: classes, softmax: classes + 1 };
        let cls = match &declared.loss_cls {
            Some(value) => ClassLoss::read(value, &below("loss_cls"), outputs)?,
            None => ClassLoss::focal(),
        };
        let bbox = match &declared.loss_bbox {
            Some(value) => BoxLoss::read(value, &below("loss_bbox"))?,
            None => BoxLoss::log_iou(),
        };
        if !bbox.is_of_whole_boxes() {
            let message = "expected a loss of whole boxes, such as IoULoss or GIoULoss: this head weighs each box";
            let path = below("loss_bbox.type");
            return Err(Problem::new(path, ProblemKind::Value, message).into());
        }
        let centerness = match &declared.loss_centerness {
            Some(value) => BinaryCrossEntropy::read_counted(value, &below("loss_centerness"))?,
            None => BinaryCrossEntropy::unit(),
        };
        Ok(Losses { cls, bbox, centerness })
    }
}

/// In mixed precision, losses and boxes take f32.
///
/// Shapes: `map` [N, K, H, W]; the result [N, H W, K].
fn rows(map: &Tensor, numbers: i64) -> Tensor {
    let rows = map.permute([0, 2, 3, 1]).reshape([map.size()[0], -1, numbers]);
    match rows.kind() {
        Kind::Half | Kind::BFloat16 => rows.to_kind(Kind::Float),
        _ => rows,
    }
}
