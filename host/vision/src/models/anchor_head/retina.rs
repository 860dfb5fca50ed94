//! The head of RetinaNet: classes and boxes of each anchor, by a tower of convolutions each.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, Scope, StepContext};
use tch::Tensor;

use super::core::{AnchorCore, CoreParts};
use super::maps::AnchorMaps;
use crate::ModelError;
use crate::boxes::{corners_of, to_host};
use crate::init_cfg::Starts;
use crate::losses::ClassLoss;
use crate::models::dense_test::{DenseTest, to_original};
use crate::models::detector::{DetectionHead, HeadInput};
use crate::nn::{Conv2d, ConvModule, ConvShape, Fill, Mode, Rule, Style};

/// A class is taken to be there with this probability at first.
const PRIOR_PROBABILITY: f64 = 0.01;

/// Towers for all maps, and what is made of their predictions.
#[derive(Debug)]
pub(crate) struct RetinaHead {
    cls_convs: Vec<ConvModule>,
    reg_convs: Vec<ConvModule>,
    cls: Conv2d,
    reg: Conv2d,
    core: AnchorCore,
    test: DenseTest,
}

impl RetinaHead {
    /// `path` is that of the model; `train_cfg` and `test_cfg` are the model's, too.
    pub(crate) fn build(
        model: &declared::RetinaNet,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<RetinaHead, ComponentError> {
        let below = |key: &str| format!("{path}.{key}");
        let path = below("bbox_head");
        let declared: declared::RetinaHead = read(&model.bbox_head, &path)?;
        let train_path = below("train_cfg");
        let test = model.test_cfg.as_ref();
        let test = test.map(|value| DenseTest::read(value, &below("test_cfg"))).transpose()?;
        let core = CoreParts {
            generator: declared.anchor_generator.as_ref(),
            default_generator: json!({"type": "AnchorGenerator", "octave_base_scale": 4,
                "scales_per_octave": 3, "ratios": [0.5, 1.0, 2.0], "strides": [8, 16, 32, 64, 128]}),
            coder: declared.bbox_coder.as_ref(),
            class_loss: declared.loss_cls.as_ref(),
            default_class_loss: ClassLoss::binary(),
            box_loss: declared.loss_bbox.as_ref(),
            reg_decoded: declared.reg_decoded_bbox,
            num_classes: declared.num_classes,
        };
        let train_cfg = model.train_cfg.as_ref().map(|value| (value, train_path.as_str()));
        let core = AnchorCore::build(core, &path, train_cfg, scope.device())?;
        let normal = Fill::Normal { mean: 0.0, std: 0.01 };
        let bias = -((1.0 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY).ln();
        let defaults = vec![
            Rule::layers(scope.prefix(), &["Conv2d"], normal),
            Rule { bias, ..Rule::part(scope.prefix(), "retina_cls", normal) },
        ];
        starts.read(declared.init_cfg.as_ref(), &path, scope.prefix(), defaults)?;
        let relu = json!({"type": "ReLU"});
        let style = Style::of(declared.norm_cfg.as_ref(), Some(&relu), &path)?;
        let channels = declared.feat_channels;
        let input = |i: usize| if i == 0 { declared.in_channels } else { channels };
        let tower = |name: &str| -> Vec<ConvModule> {
            let scope = scope.child(name);
            let one =
                |i| ConvModule::new(&scope.child(i), ConvShape::new(input(i), channels, 3), &style);
            (0..declared.stacked_convs).map(one).collect()
        };
        let (cls_convs, reg_convs) = (tower("cls_convs"), tower("reg_convs"));
        let anchors = core.generator.per_place();
        let last = |name: &str, numbers: i64| {
            let shape = ConvShape::new(input(declared.stacked_convs), anchors * numbers, 3);
            Conv2d::new(&scope.child(name), shape, true)
        };
        let cls = last("retina_cls", core.class_loss.outputs(declared.num_classes));
        let reg = last("retina_reg", 4);
        Ok(RetinaHead { cls_convs, reg_convs, cls, reg, core, test: test.unwrap_or_default() })
    }

    /// Maps that it has anchors for.
    pub(crate) fn levels(&self) -> usize {
        self.core.generator.levels()
    }

    /// Shapes: each of `features` [N, C, H, W].
    fn forward(&self, features: &[Tensor], mode: Mode) -> AnchorMaps {
        let tower = |x: &Tensor, convs: &[ConvModule]| {
            convs.iter().fold(x.shallow_clone(), |x, conv| conv.forward(&x, mode))
        };
        let one = |x: &Tensor| {
            let classes = self.cls.forward(&tower(x, &self.cls_convs));
            (classes, self.reg.forward(&tower(x, &self.reg_convs)))
        };
        let outputs = self.core.class_loss.outputs(self.core.num_classes);
        AnchorMaps::new(features.iter().map(one).collect(), outputs)
    }

    /// The best boxes of all maps of a picture, in its original's pixels.
    fn boxes_of(
        &self,
        maps: &AnchorMaps,
        anchors: &Tensor,
        picture: i64,
        input: &HeadInput<'_>,
    ) -> Vec<Detection> {
        let shape = input.shapes[picture as usize];
        let mut found = Vec::new();
        let mut first = 0;
        for (classes, deltas) in maps.classes.iter().zip(&maps.deltas) {
            let scores = self.core.class_loss.scores(&classes.select(0, picture));
            let count = scores.size()[0];
            let own = anchors.narrow(0, first, count);
            first += count;
            let best = self.test.best_of(&scores);
            let deltas = deltas.select(0, picture).index_select(0, &best.rows);
            let own = own.index_select(0, &best.rows);
            let boxes = self.core.coder.decode(&own, &deltas, Some(shape.size));
            let rows = corners_of(&boxes).into_iter().zip(to_host(&best.scores)).zip(best.labels);
            found.extend(rows.map(|((corners, score), label)| Detection {
                bbox: to_original(corners, shape.scale),
                score,
                label,
            }));
        }
        found
    }
}

impl DetectionHead for RetinaHead {
    fn loss(&mut self, input: &HeadInput<'_>, context: &StepContext) -> Losses {
        let maps = self.forward(input.features, input.mode);
        let (classes, boxes) = self.core.losses(&maps, input.targets, input.shapes, context);
        Losses(vec![("loss_cls".into(), classes), ("loss_bbox".into(), boxes)])
    }

    fn loss_names(&self) -> Vec<String> {
        ["loss_cls", "loss_bbox"].map(str::to_owned).into()
    }

    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>> {
        let maps = self.forward(input.features, input.mode);
        let anchors = self.core.anchors(&maps);
        let pictures = 0..input.shapes.len() as i64;
        let one = |picture| self.boxes_of(&maps, &anchors.boxes, picture, input);
        self.test.keep(pictures.map(one).collect(), anchors.boxes.device())
    }

    fn num_classes(&self) -> i64 {
        self.core.num_classes
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        vec![ModuleInfo {
            name: "bbox_head".into(),
            type_name: "RetinaHead".into(),
            attributes: json!({"num_classes": self.core.num_classes}),
        }]
    }

    fn set_attribute(&mut self, module: &str, name: &str, _: &Json) -> Result<(), BoxError> {
        Err(ModelError::no_attribute(module, name, "none").into())
    }

    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets> {
        let maps = self.forward(input.features, input.mode);
        vec![self.core.found_targets(&maps, (input.targets, input.shapes), "bbox")]
    }
}
