//! The first stage of Faster R-CNN: whether there is anything at each anchor, and its box.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, read, vision as declared};
use snaphook_runner::{Losses, Scope, StepContext};
use tch::{Device, Kind, Tensor};

use super::core::{AnchorCore, CoreParts};
use super::maps::AnchorMaps;
use crate::boxes::{Corners, corners_of, to_host};
use crate::init_cfg::Starts;
use crate::losses::ClassLoss;
use crate::models::dense_test::DenseTest;
use crate::nms::Suppression;
use crate::nn::{Activation, Conv2d, ConvModule, ConvShape, Fill, Mode, Rule, Style};
use crate::preprocess::PictureShape;
use crate::side_by_side::side_by_side;
use crate::sim_ota::Targets;

/// Convolutions for all maps, and what is made of their predictions.
#[derive(Debug)]
pub(crate) struct RpnHead {
    convs: RpnConvs,
    cls: Conv2d,
    reg: Conv2d,
    core: AnchorCore,
}

#[derive(Debug)]
enum RpnConvs {
    One(Conv2d),
    Several(Vec<ConvModule>),
}

/// Which proposals are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proposals {
    best_of_map: Option<i64>,
    most: usize,
    suppression: Suppression,
    smallest_side: f32,
}

impl Proposals {
    pub(crate) fn read(value: &Json, path: &str) -> Result<Proposals, ComponentError> {
        let declared: declared::RpnTestCfg = read(value, path)?;
        Ok(Proposals {
            best_of_map: Some(declared.nms_pre).filter(|most| *most > 0),
            most: declared.max_per_img,
            suppression: Suppression::read(&declared.nms, &format!("{path}.nms"))?,
            smallest_side: declared.min_bbox_size,
        })
    }

    /// The same for a head that scores classes.
    pub(crate) fn as_dense(&self) -> DenseTest {
        DenseTest {
            best_of_map: self.best_of_map,
            score_threshold: 0.0,
            suppression: self.suppression,
            smallest_side: self.smallest_side,
            most: Some(self.most),
        }
    }
}

impl RpnHead {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        train_cfg: Option<(&Json, &str)>,
        starts: &mut Starts,
    ) -> Result<RpnHead, ComponentError> {
        let declared: declared::RpnHead = read(value, path)?;
        let core = CoreParts {
            generator: declared.anchor_generator.as_ref(),
            default_generator: json!({"type": "AnchorGenerator", "scales": [8, 16, 32],
                "ratios": [0.5, 1.0, 2.0], "strides": [4, 8, 16, 32, 64]}),
            coder: declared.bbox_coder.as_ref(),
            class_loss: declared.loss_cls.as_ref(),
            default_class_loss: ClassLoss::binary(),
            box_loss: declared.loss_bbox.as_ref(),
            reg_decoded: declared.reg_decoded_bbox,
            num_classes: 1,
        };
        let core = AnchorCore::build(core, path, train_cfg, scope.device())?;
        let normal = Fill::Normal { mean: 0.0, std: 0.01 };
        let defaults = vec![Rule::layers(scope.prefix(), &["Conv2d"], normal)];
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), defaults)?;
        let channels = declared.feat_channels;
        let input = |i: usize| if i == 0 { declared.in_channels } else { channels };
        let shape = |i: usize| ConvShape::new(input(i), channels, 3);
        let convs = match declared.num_convs {
            1 => RpnConvs::One(Conv2d::new(&scope.child("rpn_conv"), shape(0), true)),
            several => {
                let style =
                    Style { norm: None, activation: Some(Activation::Relu), depthwise: false };
                let scope = scope.child("rpn_conv");
                let one = |i: usize| ConvModule::new(&scope.child(i), shape(i), &style);
                RpnConvs::Several((0..several).map(one).collect())
            }
        };
        let anchors = core.generator.per_place();
        let last = |name: &str, numbers: i64| {
            Conv2d::new(&scope.child(name), ConvShape::new(channels, anchors * numbers, 1), true)
        };
        let cls = last("rpn_cls", core.class_loss.outputs(1));
        Ok(RpnHead { convs, cls, reg: last("rpn_reg", 4), core })
    }

    /// Maps that it has anchors for.
    pub(crate) fn levels(&self) -> usize {
        self.core.generator.levels()
    }

    /// Shapes: each of `features` [N, C, H, W].
    fn forward(&self, features: &[Tensor], mode: Mode) -> AnchorMaps {
        let one = |x: &Tensor| {
            let x = match &self.convs {
                RpnConvs::One(conv) => conv.forward(x),
                RpnConvs::Several(convs) => {
                    convs.iter().fold(x.shallow_clone(), |x, conv| conv.forward(&x, mode))
                }
            }
            .relu();
            (self.cls.forward(&x), self.reg.forward(&x))
        };
        AnchorMaps::new(features.iter().map(one).collect(), self.core.class_loss.outputs(1))
    }

    /// The losses, and the proposals of each picture, best first.
    pub(crate) fn loss_and_propose(
        &mut self,
        features: &[Tensor],
        targets: &[Targets],
        shapes: &[PictureShape],
        (context, mode): (&StepContext, Mode),
        keep: &Proposals,
    ) -> (Losses, Vec<Vec<Corners>>) {
        let maps = self.forward(features, mode);
        let (classes, boxes) = self.core.losses(&maps, targets, shapes, context);
        let losses =
            Losses(vec![("loss_rpn_cls".into(), classes), ("loss_rpn_bbox".into(), boxes)]);
        let proposals = tch::no_grad(|| self.proposals(&maps, shapes, keep));
        (losses, proposals)
    }

    /// The proposals of each picture, best first.
    pub(crate) fn propose(
        &mut self,
        features: &[Tensor],
        shapes: &[PictureShape],
        mode: Mode,
        keep: &Proposals,
    ) -> Vec<Vec<Corners>> {
        let maps = self.forward(features, mode);
        tch::no_grad(|| self.proposals(&maps, shapes, keep))
    }

    #[cfg(test)]
    pub(crate) fn found_targets(
        &mut self,
        input: &crate::models::detector::HeadInput<'_>,
    ) -> crate::golden::FoundTargets {
        let maps = self.forward(input.features, input.mode);
        self.core.found_targets(&maps, (input.targets, input.shapes), "rpn")
    }

    fn proposals(
        &mut self,
        maps: &AnchorMaps,
        shapes: &[PictureShape],
        keep: &Proposals,
    ) -> Vec<Vec<Corners>> {
        let anchors = self.core.anchors(maps);
        let decoded: Vec<(Tensor, Best)> = shapes
            .iter()
            .enumerate()
            .map(|(picture, shape)| {
                let rows = self.best(maps, &anchors.boxes, picture, keep);
                let boxes = self.core.coder.decode(&rows.anchors, &rows.deltas, Some(shape.size));
                (boxes, rows)
            })
            .collect();
        if anchors.boxes.device() != Device::Cpu {
            let there = decoded.iter().map(|(boxes, rows)| rows.keep_there(boxes, keep)).collect();
            if let Some(proposals) = there {
                return proposals;
            }
        }
        let candidates =
            decoded.into_iter().map(|(boxes, rows)| rows.on_the_host(&boxes)).collect();
        side_by_side(candidates, |own| own.keep(keep))
    }

    /// The best anchors of each map.
    fn best(&self, maps: &AnchorMaps, anchors: &Tensor, picture: usize, keep: &Proposals) -> Best {
        let (mut scores, mut deltas, mut own, mut levels) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for (level, (classes, all_deltas)) in maps.classes.iter().zip(&maps.deltas).enumerate() {
            let all = self.core.class_loss.scores(&classes.detach().select(0, picture as i64));
            let all = all.select(1, 0);
            let count = all.size()[0];
            let map_anchors = anchors.narrow(0, first, count);
            let map_deltas = all_deltas.detach().select(0, picture as i64);
            first += count;
            match keep.best_of_map.filter(|most| *most < count) {
                Some(most) => {
                    let (ranked, rows) = all.sort_stable(true, 0, true);
                    let rows = rows.narrow(0, 0, most);
                    scores.push(ranked.narrow(0, 0, most));
                    deltas.push(map_deltas.index_select(0, &rows));
                    own.push(map_anchors.index_select(0, &rows));
                    levels.extend(std::iter::repeat_n(level as i64, most as usize));
                }
                None => {
                    scores.push(all);
                    deltas.push(map_deltas);
                    own.push(map_anchors);
                    levels.extend(std::iter::repeat_n(level as i64, count as usize));
                }
            }
        }
        Best {
            scores: Tensor::cat(&scores, 0).to_kind(Kind::Float),
            deltas: Tensor::cat(&deltas, 0),
            anchors: Tensor::cat(&own, 0),
            levels,
        }
    }
}

/// Rows of the best anchors of a picture.
struct Best {
    scores: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    levels: Vec<i64>,
}

impl Best {
    /// The proposals by tensor operations, where the boxes are; `None` where the method has none.
    ///
    /// Shapes: `boxes` [N, 4] f32.
    fn keep_there(&self, boxes: &Tensor, keep: &Proposals) -> Option<Vec<Corners>> {
        let levels = Tensor::from_slice(&self.levels).to_device(boxes.device());
        let large = if keep.smallest_side >= 0.0 {
            let sides = boxes.narrow(1, 2, 2) - boxes.narrow(1, 0, 2);
            sides.gt(f64::from(keep.smallest_side)).all_dim(1, false).nonzero().squeeze_dim(1)
        } else {
            Tensor::arange(boxes.size()[0], (Kind::Int64, boxes.device()))
        };
        let own = |tensor: &Tensor| tensor.index_select(0, &large);
        let boxes = own(boxes);
        let rows = keep.suppression.rows(&boxes, &own(&self.scores), &own(&levels))?;
        let count = i64::try_from(keep.most).unwrap_or(i64::MAX).min(rows.size()[0]);
        Some(corners_of(&boxes.index_select(0, &rows.narrow(0, 0, count))))
    }

    fn on_the_host(self, boxes: &Tensor) -> Candidates {
        let scores = to_host(&self.scores);
        Candidates { boxes: corners_of(boxes), scores, levels: self.levels }
    }
}

/// The same on the CPU, as boxes.
struct Candidates {
    boxes: Vec<Corners>,
    scores: Vec<f32>,
    levels: Vec<i64>,
}

impl Candidates {
    fn keep(mut self, keep: &Proposals) -> Vec<Corners> {
        if keep.smallest_side >= 0.0 {
            let is_large = |[x1, y1, x2, y2]: Corners| {
                x2 - x1 > keep.smallest_side && y2 - y1 > keep.smallest_side
            };
            let rows: Vec<usize> =
                (0..self.boxes.len()).filter(|row| is_large(self.boxes[*row])).collect();
            self.boxes = rows.iter().map(|row| self.boxes[*row]).collect();
            self.scores = rows.iter().map(|row| self.scores[*row]).collect();
            self.levels = rows.iter().map(|row| self.levels[*row]).collect();
        }
        let kept = keep.suppression.keep(&self.boxes, &self.scores, &self.levels);
        kept.into_iter().take(keep.most).map(|(row, _)| self.boxes[row]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::from_corners;

    #[test]
    fn proposals_by_tensor_operations_are_those_of_the_cpu() {
        let number = |i: usize, by: usize, most: usize| (i * by % most) as f32;
        let corners: Vec<Corners> = (0..1500)
            .map(|i| {
                let (x, y) = (number(i, 7919, 211), number(i, 104_729, 173));
                [x, y, x + number(i, 31, 40), y + number(i, 17, 37)]
            })
            .collect();
        let scores: Vec<f32> = (0..1500).map(|i| number(i, 613, 101) / 101.0).collect();
        let best = || Best {
            scores: Tensor::from_slice(&scores),
            deltas: Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)),
            anchors: Tensor::zeros([0, 4], (Kind::Float, Device::Cpu)),
            levels: (0..1500).map(|i| i / 400).collect(),
        };
        let boxes = from_corners(&corners, Device::Cpu);
        for smallest_side in [-1.0, 0.0, 9.5] {
            let suppression = Suppression::hard(0.7);
            let keep = Proposals { best_of_map: None, most: 300, suppression, smallest_side };
            let there = best().keep_there(&boxes, &keep).unwrap();
            assert_eq!(there, best().on_the_host(&boxes).keep(&keep));
            assert_eq!(there.len(), 300);
        }
    }
}
