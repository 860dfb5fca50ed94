//! Builds a model from the `model` dict of a config.

use serde_json::Value as Json;
use snaphook_runner::Model;
use tch::Device;

use super::Yolox;
use crate::BuildError;
use crate::config::Kwargs;

/// Builds the model that `config` (the `model` dict, with its bases resolved) describes, with weights of zero:
/// [`Model::init_weights`] gives them their start values.
///
/// Errors: an unknown type or keyword, with its key path and the nearest known name; a value that does not fit.
pub fn build_model(config: &Json, device: Device) -> Result<Box<dyn Model>, BuildError> {
    let kwargs = Kwargs::new(config, "model")?;
    match kwargs.one_of(&["YOLOX"])? {
        "YOLOX" => Ok(Box::new(Yolox::build(kwargs, device)?)),
        other => unreachable!("one_of lets no {other} through"),
    }
}
