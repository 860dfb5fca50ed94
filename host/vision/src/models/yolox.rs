//! The detector YOLOX: preprocessing, backbone, neck and head in one model.
//!
//! Source: arXiv 2107.08430; MMDetection `models/detectors/{yolox,single_stage}.py`.

use serde_json::{Value as Json, json};
use snaphook_components::{read, vision as declared};
use snaphook_data::{Batch, Sample};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, Losses, Model, ModelState, ModuleInfo, Scope, StepContext,
};
use tch::{Device, Tensor};

use super::{CspDarknet, HeadOutputs, YoloxHead, YoloxPafpn};
use crate::nn::{Mode, initialise};
use crate::preprocess::{DetDataPreprocessor, Pixels};
use crate::sim_ota::Targets;
use crate::{BuildError, ModelError, PicturePredictions, Predictions};

const MODULES: [&str; 4] = ["data_preprocessor", "backbone", "neck", "bbox_head"];

/// The whole detector.
#[derive(Debug)]
pub(crate) struct Yolox {
    state: ModelState,
    preprocessor: DetDataPreprocessor,
    backbone: CspDarknet,
    neck: YoloxPafpn,
    head: YoloxHead,
    is_training: bool,
}

impl Yolox {
    pub(crate) fn build(value: &Json, path: &str, device: Device) -> Result<Yolox, BuildError> {
        let declared: declared::Yolox = read(value, path)?;
        let below = |key: &str| format!("{path}.{key}");
        let scope = Scope::root(device);
        let preprocessor = match &declared.data_preprocessor {
            Some(value) => DetDataPreprocessor::read(value, &below("data_preprocessor"), device)?,
            None => DetDataPreprocessor::plain(device),
        };
        let backbone =
            CspDarknet::build(&declared.backbone, &below("backbone"), &scope.child("backbone"))?;
        let neck = YoloxPafpn::build(&declared.neck, &below("neck"), &scope.child("neck"))?;
        let head = YoloxHead::build(&declared, path, &scope.child("bbox_head"))?;
        if neck.levels() != head.levels() {
            let message = format!(
                "expected as many strides as the neck has levels, {}, found {}",
                neck.levels(),
                head.levels()
            );
            return Err(BuildError::Value { path: below("bbox_head.strides"), message });
        }
        let state = scope.finish();
        freeze(&state, &backbone.frozen_prefixes());
        Ok(Yolox { state, preprocessor, backbone, neck, head, is_training: true })
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> HeadOutputs {
        let features = self.backbone.forward(images, mode);
        let features = self.neck.forward(&features, mode);
        self.head.forward(&features, mode)
    }

    fn targets(&self, sample: &Sample) -> Result<Targets, ModelError> {
        let mut targets = Targets::default();
        let boxes = sample.boxes.iter().zip(&sample.labels).zip(&sample.ignore);
        for ((bbox, label), _) in boxes.filter(|(_, ignore)| !**ignore) {
            if !(0..self.head.num_classes).contains(label) {
                return Err(ModelError::LabelRange {
                    picture: sample.meta.img_path.clone(),
                    label: *label,
                    classes: self.head.num_classes,
                });
            }
            targets.boxes.push(*bbox);
            targets.labels.push(*label);
        }
        Ok(targets)
    }
}

impl Model for Yolox {
    fn state(&self) -> &ModelState {
        &self.state
    }

    fn set_training(&mut self, training: bool) {
        self.is_training = training;
    }

    fn init_weights(&mut self, seed: u64) -> Result<(), BoxError> {
        initialise(&self.state, seed);
        self.head.set_prior_biases();
        Ok(())
    }

    fn loss(&mut self, batch: &AnyBatch, context: &StepContext) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        let targets: Result<Vec<_>, _> = batch.samples.iter().map(|s| self.targets(s)).collect();
        let mut targets = targets?;
        let images = self.preprocessor.training_images(&pixels(batch), &mut targets, context)?;
        let mode = if self.is_training { Mode::Train } else { Mode::Frozen };
        let outputs = self.forward(&images, mode);
        Ok(self.head.loss(&outputs, &targets))
    }

    fn validation_loss(&mut self, batch: &AnyBatch) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            return Ok(Losses::default());
        }
        let targets: Result<Vec<_>, _> = batch.samples.iter().map(|s| self.targets(s)).collect();
        let mut targets = targets?;
        for (sample, targets) in batch.samples.iter().zip(&mut targets) {
            let [x, y] = sample.meta.boxes_lack_scale;
            targets.boxes.iter_mut().for_each(|[x1, y1, x2, y2]| {
                (*x1, *y1, *x2, *y2) = (*x1 * x, *y1 * y, *x2 * x, *y2 * y);
            });
        }
        let images = self.preprocessor.images(&pixels(batch))?;
        Ok(tch::no_grad(|| self.head.loss(&self.forward(&images, Mode::Frozen), &targets)))
    }

    fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError> {
        let batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            // All pictures of it were broken, and the loader was told to skip those.
            return Ok(Box::new(Predictions::default()));
        }
        let images = self.preprocessor.images(&pixels(batch))?;
        let scales: Vec<_> = batch.samples.iter().map(|s| s.meta.scale_factor.into()).collect();
        let found = tch::no_grad(|| {
            let outputs = self.forward(&images, Mode::Predict);
            self.head.predict(&outputs, &scales)
        });
        let picture = |(sample, detections): (&Sample, _)| PicturePredictions {
            img_id: sample.meta.img_id.clone(),
            detections,
        };
        Ok(Box::new(Predictions(batch.samples.iter().zip(found).map(picture).collect())))
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        let module = |name: &str, type_name: &str, attributes| ModuleInfo {
            name: name.into(),
            type_name: type_name.into(),
            attributes,
        };
        let head = json!({"num_classes": self.head.num_classes, "use_l1": self.head.use_l1});
        vec![
            module("", "YOLOX", json!({"training": self.is_training})),
            module(MODULES[0], "DetDataPreprocessor", json!({})),
            module(MODULES[1], "CSPDarknet", json!({})),
            module(MODULES[2], "YOLOXPAFPN", json!({})),
            module(MODULES[3], "YOLOXHead", head),
        ]
    }

    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError> {
        if !MODULES.contains(&module) {
            let alike = |name: &&str| (strsim::jaro_winkler(module, name) * 1e6) as u64;
            let nearest = MODULES.into_iter().max_by_key(alike).unwrap_or_default().to_owned();
            let found = module.to_owned();
            return Err(ModelError::NoSuchModule { found, nearest }.into());
        }
        if (module, name) != ("bbox_head", "use_l1") {
            let settable = if module == "bbox_head" { "use_l1" } else { "none" };
            let (module, found) = (module.to_owned(), name.to_owned());
            let settable = settable.to_owned();
            return Err(ModelError::NoSuchAttribute { module, found, settable }.into());
        }
        self.head.use_l1 = value.as_bool().ok_or_else(|| ModelError::AttributeType {
            module: module.to_owned(),
            name: name.to_owned(),
            expected: "true or false",
            found: value.to_string(),
        })?;
        Ok(())
    }

    fn call(&mut self, method: &str, _arguments: &Json) -> Result<Json, BoxError> {
        Err(ModelError::NoSuchMethod(method.to_owned()).into())
    }
}

fn pictures_of(batch: &AnyBatch) -> Result<&Batch, ModelError> {
    batch.downcast_ref().ok_or(ModelError::ForeignBatch)
}

fn pixels(batch: &Batch) -> Vec<Pixels<'_>> {
    let images = batch.samples.iter().map(|sample| &sample.image);
    images
        .map(|image| Pixels { bytes: image.data(), height: image.height(), width: image.width() })
        .collect()
}

fn freeze(state: &ModelState, prefixes: &[String]) {
    for entry in state.parameters() {
        let own = entry.name.strip_prefix("backbone.").unwrap_or_default();
        if prefixes.iter().any(|prefix| own.starts_with(prefix)) {
            let _ = entry.tensor.set_requires_grad(false);
        }
    }
}

#[cfg(test)]
mod tests;
