//! A detector of the user's own, exported as TorchScript: this trains it, and knows nothing of what it computes.
//!
//! The module has two methods, or more, all in pixels of the batch that it gets:
//!
//! ```text
//! forward(images: Tensor, boxes: List[Tensor], labels: List[Tensor]) -> Dict[str, Tensor]     losses
//! predict(images: Tensor) -> List[Tuple[Tensor, Tensor, Tensor]]                              boxes, scores, labels
//! set_epoch(epoch: int)                                                                       of those that want it alone
//! state_buffers() -> Dict[str, Tensor]               what is saved but not trained, where that is not the module's buffers
//! ```
//!
//! Shapes: `images` [N, 3, H, W] f32; of each picture, boxes [K, 4] f32, scores [K] f32, labels [K] i64.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_components::{read, vision as declared};
use snaphook_data::{Batch, Detection, Sample};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, Layer, Losses, Model, ModelState, ModuleInfo, Role, Scope,
    StepContext,
};
use tch::{CModule, Device, IValue, Kind, Tensor};

use super::detector::{pictures_of, pixels, scales, targets_of, validation_targets_of};
use crate::boxes::{corners_of, from_corners, to_host};
use crate::preprocess::{DetDataPreprocessor, Prepared};
use crate::sim_ota::Targets;
use crate::{BuildError, ModelError, PicturePredictions, Predictions};

/// The module with its file.
pub(crate) struct ScriptModel {
    file: PathBuf,
    module: CModule,
    state: ModelState,
    preprocessor: DetDataPreprocessor,
    num_classes: i64,
    device: Device,
    is_training: bool,
}

impl ScriptModel {
    pub(crate) fn build(
        value: &Json,
        path: &str,
        device: Device,
    ) -> Result<ScriptModel, BuildError> {
        let declared: declared::ScriptModel = read(value, path)?;
        let preprocessor = match &declared.data_preprocessor {
            Some(value) => {
                DetDataPreprocessor::read(value, &format!("{path}.data_preprocessor"), device)?
            }
            None => DetDataPreprocessor::plain(device),
        };
        let wrong = |message: String| BuildError::Value { path: format!("{path}.file"), message };
        let shown = declared.file.display().to_string();
        if !declared.file.is_file() {
            return Err(wrong(format!("expected a file of TorchScript, found none at {shown}")));
        }
        let mut module = open(&declared.file, device)
            .map_err(|error| wrong(format!("{shown}: {}", first_line(&error.to_string()))))?;
        let tensors = tensors(&module).map_err(|error| wrong(format!("{shown}: {error}")))?;
        let scope = Scope::root(device);
        tensors.iter().for_each(|(name, tensor, role)| scope.adopt(name, tensor, *role));
        module.f_set_train().map_err(|error| wrong(first_line(&error.to_string()).to_owned()))?;
        let declared::ScriptModel { file, num_classes, .. } = declared;
        let state = scope.finish();
        Ok(ScriptModel {
            file,
            module,
            state,
            preprocessor,
            num_classes,
            device,
            is_training: true,
        })
    }

    fn losses(&self, prepared: &Prepared, targets: &[Targets]) -> Result<Losses, BoxError> {
        run_as_written();
        let boxes = targets.iter().map(|targets| from_corners(&targets.boxes, self.device));
        let labels = targets
            .iter()
            .map(|targets| Tensor::from_slice(&targets.labels).to_device(self.device));
        let inputs = [
            IValue::Tensor(prepared.images.shallow_clone()),
            IValue::TensorList(boxes.collect()),
            IValue::TensorList(labels.collect()),
        ];
        let outputs =
            self.module.forward_is(&inputs).map_err(|error| self.failed("forward", &error))?;
        let IValue::GenericDict(pairs) = outputs else {
            return Err(self.wrong("forward", "a dict of losses"));
        };
        let one = |pair| match pair {
            (IValue::String(name), IValue::Tensor(loss)) => Ok((name, loss.sum(loss.kind()))),
            _ => Err(self.wrong("forward", "a dict of names and tensors")),
        };
        Ok(Losses(pairs.into_iter().map(one).collect::<Result<_, _>>()?))
    }

    fn boxes(&self, prepared: &Prepared) -> Result<Vec<Vec<Detection>>, BoxError> {
        run_as_written();
        let input = IValue::Tensor(prepared.images.shallow_clone());
        let outputs = self.module.method_is("predict", &[input]);
        let outputs = outputs.map_err(|error| self.failed("predict", &error))?;
        let expected = "a list with a tuple of boxes, scores and labels for each picture";
        let pictures = match outputs {
            IValue::GenericList(pictures) if pictures.len() == prepared.shapes.len() => pictures,
            _ => return Err(self.wrong("predict", expected)),
        };
        let of_picture = |(found, shape): (IValue, &crate::preprocess::PictureShape)| {
            let IValue::Tuple(parts) = found else { return Err(self.wrong("predict", expected)) };
            let [IValue::Tensor(boxes), IValue::Tensor(scores), IValue::Tensor(labels)] =
                &parts[..]
            else {
                return Err(self.wrong("predict", expected));
            };
            let count = scores.numel();
            if boxes.numel() != 4 * count || labels.numel() != count {
                return Err(self.wrong("predict", expected));
            }
            let single = |tensor: &Tensor| tensor.to_kind(Kind::Float);
            let rows = corners_of(&single(&boxes.reshape([-1, 4]))).into_iter();
            let rows = rows.zip(to_host(&single(scores))).zip(to_host(&single(labels)));
            let [x, y] = shape.scale;
            let mut found: Vec<Detection> = rows
                .map(|((corners, score), label)| Detection {
                    bbox: [corners[0] / x, corners[1] / y, corners[2] / x, corners[3] / y],
                    score,
                    label: label as i64,
                })
                .collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            Ok(found)
        };
        pictures.into_iter().zip(&prepared.shapes).map(of_picture).collect()
    }

    fn wrong(&self, method: &str, expected: &str) -> BoxError {
        let file = self.file.display();
        format!("{file}: {method}: expected it to return {expected}, found something else").into()
    }

    fn failed(&self, method: &str, error: &tch::TchError) -> BoxError {
        format!("{}: {method}: {error}", self.file.display()).into()
    }
}

impl Model for ScriptModel {
    fn state(&self) -> &ModelState {
        &self.state
    }

    fn set_training(&mut self, training: bool) {
        self.is_training = training;
        // The module has both modes: it was switched once when it was loaded.
        let _ = if training { self.module.f_set_train() } else { self.module.f_set_eval() };
    }

    /// Those of the file.
    fn init_weights(&mut self, _: u64) -> Result<(), BoxError> {
        let fresh = open(&self.file, self.device)?;
        let fresh = tensors(&fresh)?;
        tch::no_grad(|| {
            for (entry, (_, value, _)) in self.state.entries().iter().zip(&fresh) {
                entry.tensor.detach().copy_(value);
            }
        });
        Ok(())
    }

    fn loss(&mut self, batch: &AnyBatch, context: &StepContext) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        let mut targets = targets_of(batch, self.num_classes)?;
        let (pixels, scales) = (pixels(batch), scales(batch));
        let prepared =
            self.preprocessor.prepare_training(&pixels, &scales, &mut targets, context)?;
        self.losses(&prepared, &targets)
    }

    fn validation_loss(&mut self, batch: &AnyBatch) -> Result<Losses, BoxError> {
        let batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            return Ok(Losses::default());
        }
        let targets = validation_targets_of(batch, self.num_classes)?;
        let prepared = self.preprocessor.prepare(&pixels(batch), &scales(batch))?;
        tch::no_grad(|| self.losses(&prepared, &targets))
    }

    fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError> {
        let batch: &Batch = pictures_of(batch)?;
        if batch.samples.is_empty() {
            return Ok(Box::new(Predictions::default()));
        }
        let prepared = self.preprocessor.prepare(&pixels(batch), &scales(batch))?;
        let found = tch::no_grad(|| self.boxes(&prepared))?;
        let picture = |(sample, detections): (&Sample, _)| PicturePredictions {
            img_id: sample.meta.img_id.clone(),
            detections,
        };
        Ok(Box::new(Predictions(batch.samples.iter().zip(found).map(picture).collect())))
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        vec![ModuleInfo {
            name: String::new(),
            type_name: "ScriptModel".into(),
            attributes: json!({"training": self.is_training, "num_classes": self.num_classes}),
        }]
    }

    fn set_attribute(&mut self, module: &str, name: &str, _: &Json) -> Result<(), BoxError> {
        Err(ModelError::no_attribute(module, name, "none").into())
    }

    fn call(&mut self, method: &str, arguments: &Json) -> Result<Json, BoxError> {
        let no_such_method = || ModelError::NoSuchMethod(method.to_owned());
        let epoch = arguments["epoch"].as_i64().filter(|_| method == "set_epoch");
        let epoch = epoch.ok_or_else(no_such_method)?;
        let called = self.module.method_is::<IValue>(method, &[IValue::Int(epoch)]);
        match called.map_err(|error| error.to_string()) {
            Ok(_) => Ok(Json::Null),
            Err(text) if text.contains("is not defined") => Err(no_such_method().into()),
            Err(text) => Err(format!("{method}: {}", first_line(&text)).into()),
        }
    }
}

/// The module of a file, with a method that tells its buffers.
fn open(file: &Path, device: Device) -> Result<CModule, BoxError> {
    Ok(match snaphook_libtorch::script_with_buffers(file)? {
        Some(bytes) => CModule::load_data_on_device(&mut bytes.as_slice(), device)?,
        None => CModule::load_on_device(file, device)?,
    })
}

/// The parameters, then the buffers, with their names and roles.
///
/// Errors: a method `state_buffers` of another kind.
fn tensors(module: &CModule) -> Result<Vec<(String, Tensor, Role)>, BoxError> {
    let parameters = module.named_parameters()?;
    let sizes: std::collections::HashMap<String, usize> =
        parameters.iter().map(|(name, tensor)| (name.clone(), tensor.dim())).collect();
    let mut all: Vec<_> = parameters
        .into_iter()
        .map(|(name, tensor)| {
            let role = Role::Parameter(layer(&name, &tensor, &sizes));
            (name, tensor, role)
        })
        .collect();
    let buffers = module.method_is::<IValue>("state_buffers", &[])?;
    let IValue::GenericDict(pairs) = buffers else {
        return Err("expected state_buffers() to return a dict of tensors".into());
    };
    for pair in pairs {
        let (IValue::String(name), IValue::Tensor(tensor)) = pair else {
            return Err("expected state_buffers() to return a dict of names and tensors".into());
        };
        // The module itself has no name before the point.
        let name = name.trim_start_matches('.').to_owned();
        all.push((name, tensor, Role::Buffer(Layer::Norm)));
    }
    Ok(all)
}

/// What an optimizer tells layers apart by; a file has no classes of layers, but weights of one dimension are those of
/// normalisations.
fn layer(
    name: &str,
    tensor: &Tensor,
    dimensions: &std::collections::HashMap<String, usize>,
) -> Layer {
    let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
    let weight = if parent.is_empty() { "weight".to_owned() } else { format!("{parent}.weight") };
    match (tensor.dim(), dimensions.get(&weight)) {
        (4, _) => Layer::Convolution { in_channels: tensor.size()[1], groups: 1 },
        (_, Some(1)) => Layer::Norm,
        _ => Layer::Other,
    }
}

/// TorchScript would rewrite a module after its first runs, and round in another way from then on: a resumed run would not
/// be the one that was not interrupted. The switch is the thread's own.
fn run_as_written() {
    tch::jit::set_graph_executor_optimize(false);
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
