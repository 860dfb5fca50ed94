//! Flags of `train` and `test` that change the config, as MMDetection's `tools/train.py` and `tools/test.py` do. Knows nothing of what the keys do.

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

/// Writes `--tta` into the config; returns what it took for granted.
///
/// Source: MMDetection 3.3.0 `tools/test.py`. Differs: the views are made where the pictures are read, also below wrappers
/// of data sets and in each of several ones.
///
/// Errors: a config without a model, or whose test data have no pipeline.
pub(crate) fn several_views(config: &mut Json) -> Result<Vec<String>, RunError> {
    let mut notes = Vec::new();
    let mut model = config["tta_model"].take();
    if model.is_null() {
        notes.push(
            "tta_model is not in the config: boxes of all views go through nms of 0.5".to_owned(),
        );
        let nms = json!({ "type": "nms", "iou_threshold": 0.5 });
        model = json!({ "type": "DetTTAModel", "tta_cfg": { "nms": nms, "max_per_img": 100 } });
    }
    model["module"] = config["model"].take();
    config["model"] = model;
    let pipeline = config["tta_pipeline"].take();
    if pipeline.is_null() {
        notes.push(
            "tta_pipeline is not in the config: pictures are looked at mirrored and not".to_owned(),
        );
    }
    let mut count = 0;
    let loaders = match &mut config["test_dataloader"] {
        Json::Array(several) => several.iter_mut().collect(),
        one => vec![one],
    };
    for loader in loaders {
        count += replace_pipelines(&mut loader["dataset"], &pipeline);
    }
    if count == 0 {
        let message = "--tta: expected a data set with a pipeline, found none";
        return Err(RunError::config("test_dataloader.dataset.pipeline", message));
    }
    Ok(notes)
}

/// How many data sets got it; without one each looks at its own pictures mirrored and not.
fn replace_pipelines(dataset: &mut Json, pipeline: &Json) -> usize {
    if dataset["dataset"].is_object() {
        return replace_pipelines(&mut dataset["dataset"], pipeline);
    }
    if let Some(several) = dataset.get_mut("datasets").and_then(Json::as_array_mut) {
        return several.iter_mut().map(|one| replace_pipelines(one, pipeline)).sum();
    }
    let Some(own) = dataset.get_mut("pipeline").and_then(Json::as_array_mut) else { return 0 };
    if pipeline.is_null() {
        let flip = |prob: f64| json!({ "type": "RandomFlip", "prob": prob });
        let pack = own.pop().into_iter().collect::<Vec<_>>();
        let views = json!([[flip(1.0), flip(0.0)], pack]);
        own.push(json!({ "type": "TestTimeAug", "transforms": views }));
    } else {
        dataset["pipeline"] = pipeline.clone();
    }
    1
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
    fn views_are_made_in_each_data_set_by_the_config_or_by_mirroring() {
        let dataset =
            |name: &str| json!({"type": name, "pipeline": [{"type": "Load"}, {"type": "Pack"}]});
        let datasets =
            json!([dataset("A"), {"type": "RepeatDataset", "times": 2, "dataset": dataset("B")}]);
        let config = json!({"model": {"type": "YOLOX"}, "test_dataloader": {"dataset": {"type": "ConcatDataset",
            "datasets": datasets}}});
        let mut mirrored = config.clone();
        assert_eq!(several_views(&mut mirrored).unwrap().len(), 2);
        assert_eq!(mirrored["model"]["module"], config["model"]);
        let of = |config: &Json| config["test_dataloader"]["dataset"]["datasets"].clone();
        let expected = json!([{"type": "Load"}, {"type": "TestTimeAug", "transforms": [
            [{"type": "RandomFlip", "prob": 1.0}, {"type": "RandomFlip", "prob": 0.0}], [{"type": "Pack"}]]}]);
        assert_eq!(of(&mirrored)[0]["pipeline"], expected);
        assert_eq!(of(&mirrored)[1]["dataset"]["pipeline"], expected);
        let mut told = config;
        told["tta_model"] = json!({"type": "DetTTAModel", "tta_cfg": {"max_per_img": 7}});
        told["tta_pipeline"] = json!([{"type": "Own"}]);
        assert!(several_views(&mut told).unwrap().is_empty());
        assert_eq!(told["model"]["tta_cfg"]["max_per_img"], 7);
        assert_eq!(of(&told)[1]["dataset"]["pipeline"], json!([{"type": "Own"}]));
        let mut plain = json!({"model": {}, "test_dataloader": {"dataset": dataset("A")}});
        several_views(&mut plain).unwrap();
        assert_eq!(plain["test_dataloader"]["dataset"].as_object().unwrap().len(), 2);
        assert!(several_views(&mut json!({"model": {}})).is_err());
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
