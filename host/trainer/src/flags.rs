//! Flags of `train` that change the config, as MMDetection's `tools/train.py` does. Knows nothing of what the keys do.

use serde_json::{Value as Json, json};
use snaphook_cli::args::TrainArguments;
use snaphook_runner::RunError;

/// Writes `--amp` and `--auto-scale-lr` into the config.
///
/// Errors: a config to which a flag cannot be applied.
pub(crate) fn apply(arguments: &TrainArguments, config: &mut Json) -> Result<(), RunError> {
    if arguments.amp {
        mixed_precision(config)?;
    }
    if arguments.auto_scale_lr {
        auto_scale(config)?;
    }
    Ok(())
}

/// Source: MMDetection 3.3.0 `tools/train.py`: another wrapper and a dynamic loss scale.
fn mixed_precision(config: &mut Json) -> Result<(), RunError> {
    let wrapper = &mut config["optim_wrapper"];
    let found = wrapper["type"].as_str().unwrap_or("OptimWrapper").to_owned();
    match found.rsplit('.').next() {
        Some("OptimWrapper" | "AmpOptimWrapper") if wrapper.is_object() => {
            wrapper["type"] = json!("AmpOptimWrapper");
            wrapper["loss_scale"] = json!("dynamic");
            Ok(())
        }
        _ => {
            let message = format!("--amp: expected OptimWrapper, found {found}");
            Err(RunError::config("optim_wrapper.type", message))
        }
    }
}

fn auto_scale(config: &mut Json) -> Result<(), RunError> {
    let section = &mut config["auto_scale_lr"];
    if section["base_batch_size"].is_null() {
        let message = "--auto-scale-lr: expected the batch size that the learning rate is meant for, found nothing \
                       (add auto_scale_lr.base_batch_size=…)";
        return Err(RunError::config("auto_scale_lr.base_batch_size", message));
    }
    section["enable"] = json!(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_precision_keeps_the_rest_of_the_wrapper() {
        let mut config =
            json!({"optim_wrapper": {"optimizer": {"type": "SGD"}, "accumulative_counts": 2}});
        mixed_precision(&mut config).unwrap();
        let expected = json!({"optimizer": {"type": "SGD"}, "accumulative_counts": 2, "type": "AmpOptimWrapper",
            "loss_scale": "dynamic"});
        assert_eq!(config["optim_wrapper"], expected);
        let mut other = json!({"optim_wrapper": {"type": "ApexOptimWrapper"}});
        assert!(mixed_precision(&mut other).is_err());
    }

    #[test]
    fn scaling_needs_the_batch_size_that_the_rate_is_meant_for() {
        let mut config = json!({"auto_scale_lr": {"enable": false, "base_batch_size": 64}});
        auto_scale(&mut config).unwrap();
        assert_eq!(config["auto_scale_lr"]["enable"], true);
        let message = auto_scale(&mut json!({})).unwrap_err().to_string();
        assert!(message.contains("auto_scale_lr.base_batch_size=…"), "{message}");
    }
}
