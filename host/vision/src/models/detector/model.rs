//! The detector as the runner's model.

use serde_json::{Value as Json, json};
use snaphook_components::{ComponentError, OneOrMany, Problem, ProblemKind};
use snaphook_data::{Batch, Detection, Sample};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, Losses, Model, ModelState, ModuleInfo, Scope, StepContext,
};
use tch::{Device, Tensor};

use super::head::{DetectionHead, HeadInput};
use super::parts::{Backbone, Neck};
use crate::init_cfg::Starts;
use crate::nn::Mode;
use crate::preprocess::{DetDataPreprocessor, Pixels, Prepared};
use crate::sim_ota::Targets;
use crate::{BuildError, ModelError, PicturePredictions, Predictions};

/// The whole detector.
#[derive(Debug)]
pub(crate) struct Detector<H> {
    pub(super) state: ModelState,
    starts: Starts,
    pub(super) preprocessor: DetDataPreprocessor,
    backbone: Backbone,
    neck: Option<Neck>,
    pub(super) head: H,
    /// `type` of the model and of its first parts.
    types: Types,
    is_training: bool,
}

#[derive(Debug)]
struct Types {
    model: &'static str,
    parts: Vec<(&'static str, String)>,
}

/// The dicts of everything but the head.
pub(crate) struct Parts<'a> {
    /// The `type`.
    pub(crate) type_name: &'static str,
    /// Stacks pictures into a batch.
    pub(crate) data_preprocessor: Option<&'a Json>,
    /// Pictures to maps.
    pub(crate) backbone: &'a Json,
    /// Maps to maps.
    pub(crate) neck: Option<&'a Json>,
    /// Start values of the whole model.
    pub(crate) init_cfg: Option<&'a OneOrMany<Json>>,
}

impl<H: DetectionHead> Detector<H> {
    /// `head` builds the head, and checks the number of maps that it gets.
    pub(crate) fn build(
        parts: &Parts<'_>,
        path: &str,
        device: Device,
        head: impl FnOnce(&Scope, &mut Starts, usize) -> Result<H, ComponentError>,
    ) -> Result<Detector<H>, BuildError> {
        let below = |key: &str| format!("{path}.{key}");
        let scope = Scope::root(device);
        let mut starts = Starts::default();
        let preprocessor = match parts.data_preprocessor {
            Some(value) => DetDataPreprocessor::read(value, &below("data_preprocessor"), device)?,
            None => DetDataPreprocessor::plain(device),
        };
        let part = |name: &str| (below(name), scope.child(name));
        let (own_path, own_scope) = part("backbone");
        let backbone = Backbone::build(parts.backbone, &own_path, &own_scope, &mut starts)?;
        let (own_path, own_scope) = part("neck");
        let neck = parts
            .neck
            .map(|value| Neck::build(value, &own_path, &own_scope, &mut starts))
            .transpose()?;
        if let Some(found) = neck.as_ref().and_then(Neck::inputs)
            && found != backbone.levels()
        {
            let expected = backbone.levels();
            let message = format!(
                "expected as many channels as the backbone hands maps on, {expected}, found {found}"
            );
            let problem = Problem::new(below("neck.in_channels"), ProblemKind::Value, message);
            return Err(ComponentError::from(problem).into());
        }
        let levels = neck.as_ref().and_then(Neck::levels).unwrap_or(backbone.levels());
        let head = head(&scope, &mut starts, levels)?;
        starts.read(parts.init_cfg, path, "", Vec::new())?;
        let state = scope.finish();
        freeze(&state, &backbone.frozen_prefixes());
        let types = Types::new(parts);
        Ok(Detector { state, starts, preprocessor, backbone, neck, head, types, is_training: true })
    }

    /// Shapes: `images` [N, 3, H, W]; the maps that the head takes, [N, C, H, W] each.
    pub(super) fn features(&self, images: &Tensor, mode: Mode) -> Vec<Tensor> {
        let maps = self.backbone.forward(images, mode);
        self.neck.as_ref().map_or_else(
            || maps.iter().map(Tensor::shallow_clone).collect(),
            |neck| neck.forward(&maps, mode),
        )
    }

    /// The losses of pictures that were prepared.
    fn loss_of(
        &mut self,
        prepared: &Prepared,
        targets: &[Targets],
        context: &StepContext,
        mode: Mode,
    ) -> Losses {
        let features = self.features(&prepared.images, mode);
        let shapes = &prepared.shapes;
        self.head.loss(&HeadInput { features: &features, targets, shapes, mode }, context)
    }
}

impl<H: DetectionHead> Model for Detector<H> {
    fn state(&self) -> &ModelState {
        &self.state
    }

    fn set_training(&mut self, training: bool) {
        self.is_training = training;
    }

    fn init_weights(&mut self, seed: u64) -> Result<(), BoxError> {
        self.starts.fill(&self.state, seed, || self.head.finish_start_values())
    }

    fn loss(&mut self, batch: &AnyBatch, context: &StepContext) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        let mut targets = targets_of(batch, self.head.num_classes())?;
        let (pixels, scales) = (pixels(batch), scales(batch));
        let prepared =
            self.preprocessor.prepare_training(&pixels, &scales, &mut targets, context)?;
        let mode = if self.is_training { Mode::Train } else { Mode::Frozen };
        Ok(self.loss_of(&prepared, &targets, context, mode))
    }

    fn validation_loss(&mut self, batch: &AnyBatch) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            return Ok(Losses::default());
        }
        let targets = validation_targets_of(batch, self.head.num_classes())?;
        let prepared = self.preprocessor.prepare(&pixels(batch), &scales(batch))?;
        let context = StepContext::default();
        Ok(tch::no_grad(|| self.loss_of(&prepared, &targets, &context, Mode::Frozen)))
    }

    fn loss_names(&self) -> Option<Vec<String>> {
        Some(self.head.loss_names())
    }

    fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError> {
        let batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            // All pictures of it were broken, and the loader was told to skip those.
            return Ok(Box::new(Predictions::default()));
        }
        let prepared = self.preprocessor.prepare(&pixels(batch), &scales(batch))?;
        let found = tch::no_grad(|| {
            let mode = Mode::Predict;
            let features = self.features(&prepared.images, mode);
            let shapes = &prepared.shapes;
            self.head.predict(&HeadInput { features: &features, targets: &[], shapes, mode })
        });
        let is_whole = self.head.is_of_whole_pictures();
        let picture = |(sample, mut detections): (&Sample, Vec<Detection>)| {
            if is_whole {
                let [height, width] = sample.meta.ori_shape.map(|side| side as f32);
                detections.iter_mut().for_each(|found| found.bbox = [0.0, 0.0, width, height]);
            }
            PicturePredictions { img_id: sample.meta.img_id.clone(), detections }
        };
        Ok(Box::new(Predictions(batch.samples.iter().zip(found).map(picture).collect())))
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        let module = |name: &str, type_name: &str, attributes| ModuleInfo {
            name: name.into(),
            type_name: type_name.into(),
            attributes,
        };
        let mut modules = vec![module("", self.types.model, json!({"training": self.is_training}))];
        modules.extend(self.types.parts.iter().map(|(name, kind)| module(name, kind, json!({}))));
        modules.extend(self.head.modules());
        modules
    }

    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError> {
        let names: Vec<String> = self
            .modules()
            .into_iter()
            .map(|module| module.name)
            .filter(|n| !n.is_empty())
            .collect();
        if !names.iter().any(|known| known == module) {
            let alike = |name: &String| (strsim::jaro_winkler(module, name) * 1e6) as u64;
            let nearest = names.into_iter().max_by_key(alike).unwrap_or_default();
            return Err(ModelError::NoSuchModule { found: module.to_owned(), nearest }.into());
        }
        if self.types.parts.iter().any(|(part, _)| *part == module) {
            return Err(ModelError::no_attribute(module, name, "none").into());
        }
        self.head.set_attribute(module, name, value)
    }

    fn call(&mut self, method: &str, _arguments: &Json) -> Result<Json, BoxError> {
        Err(ModelError::NoSuchMethod(method.to_owned()).into())
    }
}

impl Types {
    fn new(parts: &Parts<'_>) -> Types {
        let plain = |value: &Json| {
            let name = value["type"].as_str().unwrap_or_default();
            snaphook_components::plain_type(name).to_owned()
        };
        let preprocessor = parts.data_preprocessor.map(plain).filter(|name| !name.is_empty());
        let preprocessor = preprocessor.unwrap_or("DetDataPreprocessor".to_owned());
        let mut named = vec![("data_preprocessor", preprocessor)];
        named.push(("backbone", plain(parts.backbone)));
        named.extend(parts.neck.map(|neck| ("neck", plain(neck))));
        Types { model: parts.type_name, parts: named }
    }
}

pub(crate) fn pictures_of(batch: &AnyBatch) -> Result<&Batch, ModelError> {
    batch.downcast_ref().ok_or(ModelError::ForeignBatch)
}

pub(crate) fn pixels(batch: &Batch) -> Vec<Pixels<'_>> {
    let images = batch.samples.iter().map(|sample| &sample.image);
    images
        .map(|image| Pixels { bytes: image.data(), height: image.height(), width: image.width() })
        .collect()
}

pub(crate) fn scales(batch: &Batch) -> Vec<[f32; 2]> {
    batch.samples.iter().map(|sample| sample.meta.scale_factor).collect()
}

/// The boxes to be found in each picture; crowds are none. The class of a whole picture is one around it.
///
/// Errors: a label that the model has no class for.
pub(crate) fn targets_of(batch: &Batch, classes: i64) -> Result<Vec<Targets>, ModelError> {
    let of_sample = |sample: &Sample| {
        let mut targets = Targets::default();
        let of_range = |label: i64| match (0..classes).contains(&label) {
            true => Ok(label),
            false => {
                let picture = sample.meta.img_path.clone();
                Err(ModelError::LabelRange { picture, label, classes })
            }
        };
        if let Some(label) = sample.record.label {
            let [height, width] = sample.meta.img_shape.map(|side| side as f32);
            targets.boxes.push([0.0, 0.0, width, height]);
            targets.labels.push(of_range(label)?);
            return Ok(targets);
        }
        let boxes = sample.boxes.iter().zip(&sample.labels).zip(&sample.ignore);
        for ((bbox, label), _) in boxes.filter(|(_, ignore)| !**ignore) {
            targets.boxes.push(*bbox);
            targets.labels.push(of_range(*label)?);
        }
        Ok(targets)
    };
    batch.samples.iter().map(of_sample).collect()
}

/// The same for validation, where boxes may have been loaded after pictures were resized.
pub(crate) fn validation_targets_of(
    batch: &Batch,
    classes: i64,
) -> Result<Vec<Targets>, ModelError> {
    let mut targets = targets_of(batch, classes)?;
    for (sample, targets) in batch.samples.iter().zip(&mut targets) {
        let [x, y] = sample.meta.boxes_lack_scale;
        targets.boxes.iter_mut().for_each(|[x1, y1, x2, y2]| {
            (*x1, *y1, *x2, *y2) = (*x1 * x, *y1 * y, *x2 * x, *y2 * y);
        });
    }
    Ok(targets)
}

fn freeze(state: &ModelState, prefixes: &[String]) {
    for entry in state.parameters() {
        let own = entry.name.strip_prefix("backbone.").unwrap_or_default();
        if prefixes.iter().any(|prefix| own.starts_with(prefix)) {
            let _ = entry.tensor.set_requires_grad(false);
        }
    }
}
