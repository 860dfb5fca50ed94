//! The classifier: a backbone, the mean of its last map, and a layer of weights.
//!
//! Source: MMPretrain 1.x `models/classifiers/image.py`, `models/heads/{cls_head,linear_head}.py`, `models/necks/gap.py`.
//! What it finds in a picture are its classes with their probabilities, each with a box around the whole picture, so that
//! predictions are drawn, written and put together as those of detectors are.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision as declared};
use snaphook_data::Detection;
use snaphook_runner::{BoxError, Losses, ModuleInfo, Scope, StepContext};
use tch::{Device, Kind, Tensor};

use super::detector::{DetectionHead, Detector, HeadInput, Parts};
use crate::boxes::to_host;
use crate::init_cfg::Starts;
use crate::losses::{ClassLoss, ClassOutputs, LabelledRows};
use crate::nn::{Fill, Linear, Rule};
use crate::{BuildError, ModelError};

/// Most classes that are told of a picture.
const MOST_TOLD: i64 = declared::MOST_CLASSES_TOLD as i64;

/// The whole classifier.
pub(crate) type ImageClassifier = Detector<LinearClsHead>;

/// Scores of classes from the mean of a map.
#[derive(Debug)]
pub(crate) struct LinearClsHead {
    fc: Linear,
    loss: ClassLoss,
    num_classes: i64,
    /// Which accuracies are told with the losses.
    told: Vec<usize>,
}

/// Builds a classifier from its dict.
pub(crate) fn build_image_classifier(
    value: &Json,
    path: &str,
    device: Device,
) -> Result<ImageClassifier, BuildError> {
    let declared: declared::ImageClassifier = read(value, path)?;
    let below = |key: &str| format!("{path}.{key}");
    let Some(neck) = &declared.neck else {
        let message =
            "missing: LinearClsHead takes no maps, expected dict(type='GlobalAveragePooling')";
        let problem = Problem::new(below("neck"), ProblemKind::Missing, message);
        return Err(ComponentError::from(problem).into());
    };
    read::<declared::GlobalAveragePooling>(neck, &below("neck"))?;
    let backbone = with_defaults(&declared.backbone);
    let whole = declared.pretrained.as_ref().map(|checkpoint| {
        let start = json!({"type": "Pretrained", "checkpoint": checkpoint});
        snaphook_components::OneOrMany::One(start)
    });
    let parts = Parts {
        type_name: "ImageClassifier",
        data_preprocessor: declared.data_preprocessor.as_ref(),
        backbone: &backbone,
        neck: Some(neck),
        init_cfg: whole.as_ref().or(declared.init_cfg.as_ref()),
    };
    Detector::build(&parts, path, device, |scope, starts, _| {
        LinearClsHead::build(&declared.head, &below("head"), &scope.child("head"), starts)
    })
}

/// What MMPretrain's ResNet takes for granted and MMDetection's does not: statistics of the batch, and the last map alone.
fn with_defaults(backbone: &Json) -> Json {
    let mut backbone = backbone.clone();
    let stages = backbone["num_stages"].as_u64().unwrap_or(4);
    let is_resnet = backbone["type"].as_str().is_some_and(|name| name.contains("ResNe"));
    if let Some(own) = backbone.as_object_mut().filter(|_| is_resnet) {
        own.entry("norm_eval").or_insert(false.into());
        own.entry("out_indices").or_insert(json!([stages.saturating_sub(1)]));
    }
    backbone
}

impl LinearClsHead {
    fn build(
        value: &Json,
        path: &str,
        scope: &Scope,
        starts: &mut Starts,
    ) -> Result<LinearClsHead, ComponentError> {
        let declared: declared::LinearClsHead = read(value, path)?;
        let (classes, inputs) = (declared.num_classes, declared.in_channels);
        let outputs = ClassOutputs { sigmoid: classes, softmax: classes };
        let loss = declared.loss.as_ref();
        let loss = loss.map(|value| ClassLoss::read(value, &format!("{path}.loss"), outputs));
        let normal = Fill::Normal { mean: 0.0, std: 0.01 };
        let defaults = vec![Rule::layers(scope.prefix(), &["Linear"], normal)];
        starts.read(declared.init_cfg.as_ref(), path, scope.prefix(), defaults)?;
        Ok(LinearClsHead {
            fc: Linear::new(&scope.child("fc"), inputs, classes),
            loss: loss.transpose()?.unwrap_or(ClassLoss::softmax()),
            num_classes: classes,
            told: if declared.cal_acc { declared.topk.into_list() } else { Vec::new() },
        })
    }

    /// Shapes: the last of the features [N, C]; the result [N, classes].
    fn logits(&self, input: &HeadInput<'_>) -> Tensor {
        let features = input.features.last().expect("a backbone hands on a map at least");
        let logits = self.fc.forward(features);
        match logits.kind() {
            Kind::Half | Kind::BFloat16 => logits.to_kind(Kind::Float),
            _ => logits,
        }
    }
}

fn accuracy_name(most: usize) -> String {
    format!("accuracy_top-{most}")
}

impl DetectionHead for LinearClsHead {
    fn loss(&mut self, input: &HeadInput<'_>, _: &StepContext) -> Losses {
        let logits = self.logits(input);
        let labels: Vec<i64> =
            input.targets.iter().flat_map(|targets| targets.labels.iter().copied()).collect();
        let mut rows = LabelledRows::default();
        labels.iter().enumerate().for_each(|(row, label)| rows.push(row as i64, *label, 1.0));
        let loss = self.loss.forward(&logits, &rows, labels.len() as f64);
        let mut losses = Losses(vec![("loss".into(), loss)]);
        let truth = Tensor::from_slice(&labels).to_device(logits.device());
        for most in &self.told {
            let name = accuracy_name(*most);
            losses.0.push((name, accuracy(&logits.detach(), &truth, *most as i64)));
        }
        losses
    }

    fn loss_names(&self) -> Vec<String> {
        std::iter::once("loss".to_owned())
            .chain(self.told.iter().map(|most| accuracy_name(*most)))
            .collect()
    }

    fn predict(&mut self, input: &HeadInput<'_>) -> Vec<Vec<Detection>> {
        let scores = self.logits(input).softmax(-1, Kind::Float);
        let (scores, labels) = scores.sort_stable(true, -1, true);
        let most = self.num_classes.min(MOST_TOLD);
        let best = |numbers: &Tensor| to_host(&numbers.narrow(1, 0, most).to_kind(Kind::Float));
        let (scores, labels) = (best(&scores), best(&labels));
        let found: Vec<Detection> = scores
            .into_iter()
            .zip(labels)
            .map(|(score, label)| Detection { bbox: [0.0; 4], score, label: label as i64 })
            .collect();
        found.chunks(most as usize).map(<[Detection]>::to_vec).collect()
    }

    fn is_of_whole_pictures(&self) -> bool {
        true
    }

    fn num_classes(&self) -> i64 {
        self.num_classes
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        vec![ModuleInfo {
            name: "head".into(),
            type_name: "LinearClsHead".into(),
            attributes: json!({"num_classes": self.num_classes}),
        }]
    }

    fn set_attribute(&mut self, module: &str, name: &str, _: &Json) -> Result<(), BoxError> {
        Err(ModelError::no_attribute(module, name, "none").into())
    }

    #[cfg(test)]
    fn found_targets(&mut self, input: &HeadInput<'_>) -> Vec<crate::golden::FoundTargets> {
        let labels: Vec<i64> = input.targets.iter().map(|targets| targets.labels[0]).collect();
        vec![crate::golden::FoundTargets {
            stage: "classes",
            count: labels.len() as f64,
            positive: labels.len(),
            labelled: labels.len(),
            boxes: Tensor::from_slice(&labels).to_kind(Kind::Float).view([-1, 1]),
        }]
    }
}

/// The share of rows, in percent, whose label is among the best `most`.
///
/// Shapes: `logits` [N, classes]; `labels` [N] i64; the result [].
fn accuracy(logits: &Tensor, labels: &Tensor, most: i64) -> Tensor {
    let most = most.min(logits.size()[1]);
    let (_, best) = logits.topk(most, -1, true, true);
    let is_right = best.eq_tensor(&labels.unsqueeze(1)).any_dim(1, false);
    is_right.to_kind(Kind::Float).mean(Kind::Float) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_best_ones_are_in_percent() {
        let logits = Tensor::from_slice(&[3.0_f32, 2.0, 1.0, 0.0, 5.0, 4.0]).view([2, 3]);
        let labels = Tensor::from_slice(&[0_i64, 2]);
        let share = |most| accuracy(&logits, &labels, most).double_value(&[]);
        assert_eq!([share(1), share(2), share(9)], [50.0, 100.0, 100.0]);
    }
}
