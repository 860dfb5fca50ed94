//! What heads with anchors have in common: anchors, boxes, losses.

use std::rc::Rc;

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision};
use snaphook_runner::StepContext;
use tch::{Device, Tensor};

use super::maps::AnchorMaps;
use super::targets::MapTargets;
use crate::anchors::{AnchorGenerator, Anchors};
use crate::box_coder::DeltaCoder;
use crate::box_sampler::BoxSampler;
use crate::boxes::from_corners;
use crate::losses::{BoxLoss, ClassLoss, ClassOutputs};
use crate::max_iou::MaxIou;
use crate::preprocess::PictureShape;
use crate::sim_ota::Targets;

/// Anchors, coder, losses and the settings of training.
#[derive(Debug)]
pub(super) struct AnchorCore {
    pub(super) generator: AnchorGenerator,
    pub(super) coder: DeltaCoder,
    pub(super) class_loss: ClassLoss,
    box_loss: BoxLoss,
    reg_decoded: bool,
    pub(super) train: TrainSettings,
    pub(super) num_classes: i64,
}

/// What `train_cfg` says.
#[derive(Debug)]
pub(super) struct TrainSettings {
    pub(super) assigner: MaxIou,
    pub(super) sampler: BoxSampler,
    pub(super) allowed_border: i64,
    pub(super) positive_weight: f32,
}

/// The dicts that a head is made of.
pub(super) struct CoreParts<'a> {
    pub(super) generator: Option<&'a Json>,
    /// The generator where the head names none.
    pub(super) default_generator: Json,
    pub(super) coder: Option<&'a Json>,
    pub(super) class_loss: Option<&'a Json>,
    pub(super) default_class_loss: ClassLoss,
    pub(super) box_loss: Option<&'a Json>,
    pub(super) reg_decoded: bool,
    pub(super) num_classes: i64,
}

impl AnchorCore {
    /// `path` is that of the head; `train_cfg` comes with its own.
    pub(super) fn build(
        parts: CoreParts<'_>,
        path: &str,
        train_cfg: Option<(&Json, &str)>,
        device: Device,
    ) -> Result<AnchorCore, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        let generator = parts.generator.unwrap_or(&parts.default_generator);
        let coder = parts.coder.map(|value| DeltaCoder::read(value, &below("bbox_coder")));
        let classes = parts.num_classes;
        let outputs = ClassOutputs { sigmoid: classes, softmax: classes + 1 };
        let class_loss =
            parts.class_loss.map(|value| ClassLoss::read(value, &below("loss_cls"), outputs));
        let box_loss = parts.box_loss.map(|value| BoxLoss::read(value, &below("loss_bbox")));
        let default_train = json!({"assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5,
            "neg_iou_thr": 0.4, "min_pos_iou": 0.0}});
        let (train_cfg, train_path) = train_cfg.unwrap_or((&default_train, ""));
        let generator = AnchorGenerator::read(generator, &below("anchor_generator"), device)?;
        Ok(AnchorCore {
            generator,
            coder: coder.transpose()?.unwrap_or(DeltaCoder::with_stds([1.0; 4])),
            class_loss: class_loss.transpose()?.unwrap_or(parts.default_class_loss),
            box_loss: box_loss.transpose()?.unwrap_or(BoxLoss::smooth_l1(1.0 / 9.0)),
            reg_decoded: parts.reg_decoded,
            train: TrainSettings::read(train_cfg, train_path)?,
            num_classes: parts.num_classes,
        })
    }

    pub(super) fn anchors(&mut self, maps: &AnchorMaps) -> Rc<Anchors> {
        self.generator.get(&maps.sizes)
    }

    /// Sums over all maps: of classes and of boxes.
    pub(super) fn losses(
        &mut self,
        maps: &AnchorMaps,
        targets: &[Targets],
        shapes: &[PictureShape],
        context: &StepContext,
    ) -> (Tensor, Tensor) {
        let anchors = self.anchors(maps);
        let one_class = self.num_classes == 1;
        let targets = self.targets(&anchors, targets, shapes, context, one_class);
        let mut of_maps = maps.classes.iter().zip(&maps.deltas).zip(&targets.maps).map(
            |((classes, deltas), own)| {
                let classes = classes.flatten(0, 1);
                let class = self.class_loss.forward(&classes, &own.labelled, targets.count);
                (class, self.box_loss_of(&deltas.flatten(0, 1), own, targets.count))
            },
        );
        let first = of_maps.next().expect("a head has a map at least");
        of_maps.fold(first, |(classes, boxes), (class, bbox)| (classes + class, boxes + bbox))
    }

    #[cfg(test)]
    pub(super) fn found_targets(
        &mut self,
        maps: &AnchorMaps,
        (targets, shapes): (&[Targets], &[PictureShape]),
        stage: &'static str,
    ) -> crate::golden::FoundTargets {
        let anchors = self.anchors(maps);
        let one_class = self.num_classes == 1;
        let found = self.targets(&anchors, targets, shapes, &StepContext::default(), one_class);
        let all = |of: fn(&MapTargets) -> &Vec<crate::boxes::Corners>| -> Tensor {
            let corners: Vec<crate::boxes::Corners> =
                found.maps.iter().flat_map(of).copied().collect();
            from_corners(&corners, Device::Cpu)
        };
        let (anchors, boxes) = (all(|map| &map.anchors), all(|map| &map.boxes));
        crate::golden::FoundTargets {
            stage,
            count: found.count,
            positive: found.maps.iter().map(|map| map.positive.len()).sum(),
            labelled: found.maps.iter().map(|map| map.labelled.rows.len()).sum(),
            boxes: if self.reg_decoded { boxes } else { self.coder.encode(&anchors, &boxes) },
        }
    }

    fn box_loss_of(&self, deltas: &Tensor, own: &MapTargets, count: f64) -> Tensor {
        let device = deltas.device();
        let rows = Tensor::from_slice(&own.positive).to_device(device);
        let predicted = deltas.index_select(0, &rows);
        let anchors = from_corners(&own.anchors, device);
        let boxes = from_corners(&own.boxes, device);
        if self.reg_decoded {
            let decoded = self.coder.decode(&anchors, &predicted, None);
            return self.box_loss.forward(&decoded, &boxes, count);
        }
        self.box_loss.forward(&predicted, &self.coder.encode(&anchors, &boxes), count)
    }
}

impl TrainSettings {
    fn read(value: &Json, path: &str) -> Result<TrainSettings, ComponentError> {
        let declared: vision::AnchorTrainCfg = read(value, path)?;
        let below = |key: &str| format!("{path}.{key}");
        let sampler = declared.sampler.map(|value| BoxSampler::read(&value, &below("sampler")));
        let sampler = sampler.transpose()?.unwrap_or(BoxSampler::All);
        if matches!(sampler, BoxSampler::Hard(_)) || sampler.adds_targets() {
            let message = "expected RandomSampler with add_gt_as_proposals=False, or PseudoSampler: \
                           anchors have no boxes among them";
            return Err(Problem::new(below("sampler"), ProblemKind::Value, message).into());
        }
        let weight = declared.pos_weight as f32;
        Ok(TrainSettings {
            assigner: MaxIou::read(&declared.assigner, &below("assigner"))?,
            sampler,
            allowed_border: declared.allowed_border,
            positive_weight: if weight > 0.0 { weight } else { 1.0 },
        })
    }
}
