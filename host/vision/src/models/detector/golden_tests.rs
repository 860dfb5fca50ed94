//! Whole detectors against MMDetection: features, losses, targets, gradients, boxes, ten steps of training.

use serde_json::Value as Json;
use snaphook_runner::{Model, StepContext};
use tch::{Device, Kind, Tensor};

use super::{DetectionHead, Detector, HeadInput, pictures_of, pixels, scales, targets_of};
use crate::golden::{Case, is_told};
use crate::models::faster_rcnn::build_faster_rcnn;
use crate::models::fcos::build_fcos;
use crate::models::image_classifier::build_image_classifier;
use crate::models::retina_net::build_retina_net;
use crate::models::yolox::build_yolox;
use crate::nn::Mode;
use crate::{BuildError, Predictions};

/// Outputs and losses: sums of single precision in another order, through some sixty layers.
const OUTPUTS: f64 = 1e-4;
const GRADIENTS: f64 = 1e-3;
const CURVE: f64 = 1e-3;

struct Tested<H> {
    case: Case,
    build: fn(&Json, &str, Device) -> Result<Detector<H>, BuildError>,
}

impl<H: DetectionHead> Tested<H> {
    fn model(&self) -> Detector<H> {
        tch::set_num_threads(1);
        let mut model = (self.build)(self.case.model(), "model", Device::Cpu).unwrap();
        self.case.fill(&model.state);
        if self.case.setting("use_l1") == &Json::Bool(true) {
            model.set_attribute("bbox_head", "use_l1", &Json::Bool(true)).unwrap();
        }
        model
    }

    fn compare(&self) {
        self.parameters_have_the_names_and_the_order();
        self.features_and_boxes();
        self.losses_and_gradients();
        self.targets();
        self.curve();
    }

    fn parameters_have_the_names_and_the_order(&self) {
        let model = self.model();
        let names: Vec<&str> = model.state.parameters().map(|entry| entry.name.as_str()).collect();
        assert_eq!(Json::from(names), self.case.expected["parameters"]);
        let trained = model.state.parameters().filter(|entry| entry.tensor.requires_grad());
        let trained: Vec<&str> = trained.map(|entry| entry.name.as_str()).collect();
        assert_eq!(Json::from(trained), self.case.expected["trained"]);
    }

    fn features_and_boxes(&self) {
        let mut model = self.model();
        model.set_training(false);
        let batch = self.case.batch(0);
        let own = pictures_of(&batch).unwrap();
        let prepared = model.preprocessor.prepare(&pixels(own), &scales(own)).unwrap();
        let features = tch::no_grad(|| model.features(&prepared.images, Mode::Predict));
        let told = self.case.expected["features"].as_array().unwrap();
        assert_eq!(features.len(), told.len());
        for (level, (map, told)) in features.iter().zip(told).enumerate() {
            is_told(map, told, OUTPUTS).unwrap_or_else(|problem| panic!("map {level}: {problem}"));
        }
        let predictions = model.predict(&batch).unwrap();
        let Predictions(pictures) = *predictions.downcast::<Predictions>().unwrap();
        for (picture, told) in pictures.iter().zip(self.case.expected["boxes"].as_array().unwrap())
        {
            let labels: Vec<i64> = picture.detections.iter().map(|found| found.label).collect();
            assert_eq!(Json::from(labels), told["labels"]);
            for (i, found) in picture.detections.iter().enumerate() {
                let score = told["scores"][i].as_f64().unwrap();
                assert!((f64::from(found.score) - score).abs() < 1e-4, "{i}: {found:?} {score}");
                for (side, number) in found.bbox.iter().enumerate() {
                    let expected = told["boxes"][i][side].as_f64().unwrap();
                    // A hundredth of a pixel: the files have three digits behind the point.
                    assert!(
                        (f64::from(*number) - expected).abs() < 1e-2,
                        "{i}: {found:?} {expected}"
                    );
                }
            }
        }
    }

    fn losses_and_gradients(&self) {
        let mut model = self.model();
        let losses = model.loss(&self.case.batch(0), &StepContext::default()).unwrap();
        let told = self.case.expected["losses"].as_object().unwrap();
        let names: Vec<&str> = losses.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, told.keys().collect::<Vec<_>>());
        let known = model.loss_names().unwrap();
        assert!(names.iter().all(|name| known.iter().any(|known| known == name)), "{known:?}");
        for (name, loss) in &losses.0 {
            let (found, expected) =
                (loss.sum(Kind::Double).double_value(&[]), told[name].as_f64().unwrap());
            assert!(
                (found - expected).abs() <= OUTPUTS * expected.abs(),
                "{name}: {expected}, {found}"
            );
        }
        total(&losses.0).backward();
        let gradients = self.case.expected["gradients"].as_object().unwrap();
        for (name, told) in gradients {
            let gradient = model.state.get(name).unwrap().grad();
            is_told(&gradient, told, GRADIENTS)
                .unwrap_or_else(|problem| panic!("{name}: {problem}"));
        }
    }

    fn targets(&self) {
        let mut model = self.model();
        let batch = self.case.batch(0);
        let own = pictures_of(&batch).unwrap();
        let mut targets = targets_of(own, model.head.num_classes()).unwrap();
        let context = StepContext::default();
        let prepared = model
            .preprocessor
            .prepare_training(&pixels(own), &scales(own), &mut targets, &context)
            .unwrap();
        tch::no_grad(|| {
            let features = model.features(&prepared.images, Mode::Train);
            let (targets, shapes) = (&targets[..], &prepared.shapes[..]);
            let input = HeadInput { features: &features, targets, shapes, mode: Mode::Train };
            let found = model.head.found_targets(&input);
            assert_eq!(found.len(), self.case.expected["targets"].as_object().unwrap().len());
            found.iter().for_each(|found| found.compare(&self.case.expected["targets"]));
        });
    }

    /// SGD with momentum 0.9 and a decay of 0.0001, as PyTorch computes it.
    fn curve(&self) {
        let mut model = self.model();
        let rate = self.case.setting("learning_rate").as_f64().unwrap();
        let mut velocities: Vec<Tensor> = Vec::new();
        for (step, told) in self.case.expected["curve"].as_array().unwrap().iter().enumerate() {
            let losses = model.loss(&self.case.batch(step), &StepContext::default()).unwrap();
            let loss = total(&losses.0);
            let (found, expected) = (loss.double_value(&[]), told.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= CURVE * expected,
                "step {step}: {expected}, {found}"
            );
            loss.backward();
            let trained = model.state.parameters().filter(|entry| entry.tensor.requires_grad());
            tch::no_grad(|| {
                for (i, entry) in trained.enumerate() {
                    let mut gradient = entry.tensor.grad();
                    let pull = &gradient + &entry.tensor * 1e-4;
                    match velocities.get_mut(i) {
                        Some(velocity) => *velocity = &*velocity * 0.9 + pull,
                        None => velocities.push(pull),
                    }
                    let _ = entry.tensor.shallow_clone().g_sub_(&(&velocities[i] * rate));
                    let _ = gradient.zero_();
                }
            });
        }
    }
}

fn total(losses: &[(String, Tensor)]) -> Tensor {
    let terms = losses.iter().filter(|(name, _)| name.contains("loss"));
    terms.map(|(_, loss)| loss.shallow_clone()).reduce(|a, b| a + b).unwrap()
}

#[test]
fn yolox_computes_what_mmdetection_computes() {
    Tested { case: Case::read("yolox"), build: build_yolox }.compare();
}

#[test]
fn faster_rcnn_computes_what_mmdetection_computes() {
    Tested { case: Case::read("faster_rcnn"), build: build_faster_rcnn }.compare();
}

#[test]
fn faster_rcnn_without_a_pyramid_computes_what_mmdetection_computes() {
    Tested { case: Case::read("faster_rcnn_c4"), build: build_faster_rcnn }.compare();
}

#[test]
fn retina_net_computes_what_mmdetection_computes() {
    Tested { case: Case::read("retina_net"), build: build_retina_net }.compare();
}

#[test]
fn fcos_computes_what_mmdetection_computes() {
    Tested { case: Case::read("fcos"), build: build_fcos }.compare();
}

#[test]
fn faster_rcnn_with_fcos_as_first_stage_computes_what_mmdetection_computes() {
    Tested { case: Case::read("faster_rcnn_fcos"), build: build_faster_rcnn }.compare();
}

#[test]
fn a_classifier_computes_what_mmpretrains_formulas_say() {
    Tested { case: Case::read("image_classifier"), build: build_image_classifier }.compare();
}
