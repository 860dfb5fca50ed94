//! Classes and boxes of regions: predictions, losses, and the boxes that are kept.

use serde_json::Value as Json;
use snaphook_components::vision::{self as declared, BoxHeadLayers};
use snaphook_components::{Catalog, ComponentError, Role, read, type_name};
use snaphook_data::Detection;
use snaphook_runner::{Losses, Scope};
use tch::{Device, Kind, Tensor};

use super::layers::{LayerParts, Layers};
use crate::box_coder::DeltaCoder;
use crate::boxes::{Corners, corners_of, from_corners, to_host};
use crate::init_cfg::Starts;
use crate::losses::{BoxLoss, ClassLoss, ClassOutputs, LabelledRows};
use crate::nms::Suppression;
use crate::nn::{Fill, Linear, Mode, Rule};
use crate::preprocess::PictureShape;
use crate::roi_align::Region;

/// Layers, predictions and losses.
#[derive(Debug)]
pub(super) struct BoxHead {
    layers: Layers,
    cls: Linear,
    reg: Linear,
    coder: DeltaCoder,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    class_agnostic: bool,
    reg_decoded: bool,
    pub(super) type_name: String,
    pub(super) num_classes: i64,
}

/// What the head says of each region.
#[derive(Debug)]
pub(super) struct BoxOutputs {
    /// Logits [R, C + 1].
    pub(super) classes: Tensor,
    /// Differences [R, 4 C], or [R, 4] where the box is one for all classes.
    pub(super) deltas: Tensor,
}

/// Which boxes are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoxSettings {
    pub(super) score_threshold: f32,
    pub(super) suppression: Suppression,
    pub(super) most: Option<usize>,
}

impl BoxSettings {
    /// What is left of the boxes of each picture, best first; `device` is where they come from.
    pub(super) fn keep(&self, found: Vec<Vec<Detection>>, device: Device) -> Vec<Vec<Detection>> {
        let mut kept = self.suppression.apply_all(found, device);
        kept.iter_mut().for_each(|own| own.truncate(self.most.unwrap_or(usize::MAX)));
        kept
    }
}

/// The regions of a batch with what they are to find.
#[derive(Debug, Default)]
pub(super) struct RegionTargets {
    /// All regions, picture after picture.
    pub(super) regions: Vec<Region>,
    /// A row for each region.
    pub(super) labelled: LabelledRows,
    /// Row, class and box of those that are to find one.
    pub(super) positive: Vec<(usize, i64, Corners)>,
}

impl BoxHead {
    pub(super) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<BoxHead, ComponentError> {
        macro_rules! head {
            ($kind:ty) => {{
                let own: $kind = read(value, path)?;
                (own.layers(), None, own.common())
            }};
            ($kind:ty, with norm) => {{
                let own: $kind = read(value, path)?;
                (own.layers(), own.norm_cfg.clone(), own.common())
            }};
        }
        let name = type_name(Role::BoxHead, value, path)?;
        let (layers, norm, common): (BoxHeadLayers, Option<Json>, declared::BoxHead) = match name {
            "BBoxHead" => head!(declared::BoxHead),
            "Shared2FCBBoxHead" => head!(declared::Shared2FcBoxHead),
            "ConvFCBBoxHead" => head!(declared::ConvFcBoxHead, with norm),
            "Shared4Conv1FCBBoxHead" => head!(declared::Shared4Conv1FcBoxHead, with norm),
            _ => return Err(Catalog::built_in().unknown(Role::BoxHead, value, path).into()),
        };
        let below = |key: &str| format!("{path}.{key}");
        for (key, value) in [
            ("cls_predictor_cfg", &common.cls_predictor_cfg),
            ("reg_predictor_cfg", &common.reg_predictor_cfg),
        ] {
            if let Some(value) = value {
                read::<declared::Linear>(value, &below(key))?;
            }
        }
        let [rows, columns] = common.roi_feat_size.both();
        let parts = LayerParts {
            numbers: layers,
            in_channels: common.in_channels,
            area: rows * columns,
            with_avg_pool: common.with_avg_pool,
            norm_cfg: norm.as_ref(),
        };
        let classes = common.num_classes;
        // The background is an output of its own in either case.
        let outputs = ClassOutputs { sigmoid: classes + 1, softmax: classes + 1 };
        let class_loss = common
            .loss_cls
            .as_ref()
            .map(|value| ClassLoss::read(value, &below("loss_cls"), outputs));
        let class_loss = class_loss.transpose()?.unwrap_or_else(ClassLoss::softmax);
        let box_loss = common.loss_bbox.as_ref().map(|v| BoxLoss::read(v, &below("loss_bbox")));
        let coder = common.bbox_coder.as_ref().map(|v| DeltaCoder::read(v, &below("bbox_coder")));
        starts.read(
            common.init_cfg.as_ref(),
            path,
            scope.prefix(),
            default_starts(scope.prefix()),
        )?;
        // MMDetection makes the predictions first, so that they come first in its state dicts.
        let numbers = if common.reg_class_agnostic { 4 } else { 4 * classes };
        let widths = Layers::build(&parts, path, &Scope::root(scope.device()))?;
        let cls = Linear::new(&scope.child("fc_cls"), widths.cls_inputs, classes + 1);
        let reg = Linear::new(&scope.child("fc_reg"), widths.reg_inputs, numbers);
        Ok(BoxHead {
            layers: Layers::build(&parts, path, scope)?,
            cls,
            reg,
            coder: coder.transpose()?.unwrap_or(DeltaCoder::with_stds([0.1, 0.1, 0.2, 0.2])),
            class_loss,
            box_loss: box_loss.transpose()?.unwrap_or(BoxLoss::smooth_l1(1.0)),
            class_agnostic: common.reg_class_agnostic,
            reg_decoded: common.reg_decoded_bbox,
            type_name: name.to_owned(),
            num_classes: classes,
        })
    }

    /// Shapes: `features` [R, C, rows, columns].
    pub(super) fn forward(&self, features: &Tensor, mode: Mode) -> BoxOutputs {
        let (cls, reg) = self.layers.forward(features, mode);
        let single = |x: Tensor| if x.kind() == Kind::Float { x } else { x.to_kind(Kind::Float) };
        BoxOutputs {
            classes: single(self.cls.forward(&cls)),
            deltas: single(self.reg.forward(&reg)),
        }
    }

    /// The loss of classes of each region.
    ///
    /// Shapes: the result [R].
    pub(super) fn class_losses(&self, outputs: &BoxOutputs, labels: &[i64]) -> Tensor {
        self.class_loss.of_rows(&outputs.classes, labels)
    }

    /// Losses of a batch, and the share of regions with the right class, in percent.
    pub(super) fn loss(&self, outputs: &BoxOutputs, targets: &RegionTargets) -> Losses {
        let weights = &targets.labelled.weights;
        let count = weights.iter().filter(|weight| **weight > 0.0).count().max(1) as f64;
        let class = self.class_loss.forward(&outputs.classes, &targets.labelled, count);
        let accuracy = accuracy(&outputs.classes, &targets.labelled.labels);
        let bbox = self.box_loss_of(outputs, targets);
        Losses(vec![
            ("loss_cls".into(), class),
            ("acc".into(), accuracy),
            ("loss_bbox".into(), bbox),
        ])
    }

    fn box_loss_of(&self, outputs: &BoxOutputs, targets: &RegionTargets) -> Tensor {
        let device = outputs.deltas.device();
        let width = if self.class_agnostic { 1 } else { self.num_classes };
        let own = |(row, label, _): &(usize, i64, Corners)| {
            *row as i64 * width + if self.class_agnostic { 0 } else { *label }
        };
        let rows: Vec<i64> = targets.positive.iter().map(own).collect();
        let deltas = outputs.deltas.reshape([-1, 4]);
        let deltas = deltas.index_select(0, &Tensor::from_slice(&rows).to_device(device));
        let regions: Vec<Corners> =
            targets.positive.iter().map(|(row, ..)| targets.regions[*row].corners).collect();
        let boxes: Vec<Corners> = targets.positive.iter().map(|(.., bbox)| *bbox).collect();
        let (regions, boxes) = (from_corners(&regions, device), from_corners(&boxes, device));
        let count = targets.regions.len() as f64;
        if self.reg_decoded {
            let decoded = self.coder.decode(&regions, &deltas, None);
            return self.box_loss.forward(&decoded, &boxes, count);
        }
        self.box_loss.forward(&deltas, &self.coder.encode(&regions, &boxes), count)
    }

    #[cfg(test)]
    pub(super) fn wanted(&self, targets: &RegionTargets) -> Tensor {
        let regions: Vec<Corners> =
            targets.positive.iter().map(|(row, ..)| targets.regions[*row].corners).collect();
        let boxes: Vec<Corners> = targets.positive.iter().map(|(.., bbox)| *bbox).collect();
        let [regions, boxes] = [regions, boxes].map(|own| from_corners(&own, Device::Cpu));
        if self.reg_decoded { boxes } else { self.coder.encode(&regions, &boxes) }
    }

    /// The boxes of a picture above the threshold, in its original's pixels; `outputs` are those of its regions.
    pub(super) fn boxes_of(
        &self,
        outputs: &BoxOutputs,
        regions: &[Region],
        shape: &PictureShape,
        settings: &BoxSettings,
    ) -> Vec<Detection> {
        let scores = to_host(&self.class_scores(&outputs.classes));
        let classes = self.num_classes as usize;
        let above: Vec<usize> =
            (0..scores.len()).filter(|place| scores[*place] > settings.score_threshold).collect();
        let device = outputs.deltas.device();
        let row = |place: &usize| if self.class_agnostic { place / classes } else { *place };
        let rows: Vec<i64> = above.iter().map(|place| row(place) as i64).collect();
        let deltas = outputs.deltas.reshape([-1, 4]);
        let deltas = deltas.index_select(0, &Tensor::from_slice(&rows).to_device(device));
        let own: Vec<Corners> =
            above.iter().map(|place| regions[place / classes].corners).collect();
        let boxes = self.coder.decode(&from_corners(&own, device), &deltas, Some(shape.size));
        let [x, y] = shape.scale.map(|factor| (1.0 / f64::from(factor)) as f32);
        let found = corners_of(&boxes).into_iter().zip(above).map(|(corners, place)| {
            let [x1, y1, x2, y2] = corners;
            Detection {
                bbox: [x1 * x, y1 * y, x2 * x, y2 * y],
                score: scores[place],
                label: (place % classes) as i64,
            }
        });
        found.collect()
    }

    /// Regions exclude classes whatever the loss is, as in MMDetection.
    fn class_scores(&self, logits: &Tensor) -> Tensor {
        logits.softmax(-1, Kind::Float).narrow(1, 0, self.num_classes)
    }
}

fn default_starts(prefix: &str) -> Vec<Rule> {
    let normal = |std: f64| Fill::Normal { mean: 0.0, std };
    let xavier = Fill::Xavier { gain: 1.0, uniform: true };
    vec![
        Rule::part(prefix, "fc_cls", normal(0.01)),
        Rule::part(prefix, "fc_reg", normal(0.001)),
        Rule::part(prefix, "shared_fcs", xavier),
        Rule::part(prefix, "cls_fcs", xavier),
        Rule::part(prefix, "reg_fcs", xavier),
    ]
}

/// Shapes: `logits` [R, C]; the result [1], in percent.
fn accuracy(logits: &Tensor, labels: &[i64]) -> Tensor {
    let labels = Tensor::from_slice(labels).to_device(logits.device());
    let logits = logits.detach();
    if logits.size()[0] == 0 {
        return Tensor::zeros([1], (Kind::Float, logits.device()));
    }
    let right = logits.argmax(1, false).eq_tensor(&labels).to_kind(Kind::Float);
    (right.mean(Kind::Float) * 100.0).view([1])
}
