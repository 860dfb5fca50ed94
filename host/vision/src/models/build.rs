//! Builds a model from the `model` dict of a config.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, type_name};
use snaphook_runner::Model;
use tch::Device;

use super::faster_rcnn::build_faster_rcnn;
use super::fcos::build_fcos;
use super::image_classifier::build_image_classifier;
use super::retina_net::build_retina_net;
use super::script_model::ScriptModel;
use super::tta::TtaModel;
use super::yolox::build_yolox;
use crate::BuildError;

/// Builds the model that `config` (the `model` dict, with its bases resolved) describes, with weights of zero:
/// [`Model::init_weights`] gives them their start values.
///
/// Errors: an unknown type or keyword, with its key path and the nearest known name; a value that does not fit.
pub fn build_model(config: &Json, device: Device) -> Result<Box<dyn Model>, BuildError> {
    build_at(config, "model", device)
}

/// The same, of the dict at `path`.
pub(super) fn build_at(
    config: &Json,
    path: &str,
    device: Device,
) -> Result<Box<dyn Model>, BuildError> {
    match type_name(Role::Model, config, path)? {
        "YOLOX" => Ok(Box::new(build_yolox(config, path, device)?)),
        "FasterRCNN" => Ok(Box::new(build_faster_rcnn(config, path, device)?)),
        "FCOS" => Ok(Box::new(build_fcos(config, path, device)?)),
        "RetinaNet" => Ok(Box::new(build_retina_net(config, path, device)?)),
        "ImageClassifier" => Ok(Box::new(build_image_classifier(config, path, device)?)),
        "ScriptModel" => Ok(Box::new(ScriptModel::build(config, path, device)?)),
        "DetTTAModel" => Ok(Box::new(TtaModel::build(config, path, device)?)),
        _ => {
            Err(ComponentError::from(Catalog::built_in().unknown(Role::Model, config, path)).into())
        }
    }
}
