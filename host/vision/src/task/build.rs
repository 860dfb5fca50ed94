//! Everything that a run needs of detection, from a whole config.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_data::{Dataset, Loader, LoaderConfig, MetricEvaluator, OnBadImage, Rank};
use snaphook_runner::{DataSource, EvaluationSet, Model, Painter, Task};
use tch::Device;

use super::{DetectionData, DetectionMetrics, DetectionPainter};
use crate::{BuildError, build_model};

/// What a run wants of a task.
#[derive(Clone, Debug)]
pub struct TaskOptions {
    /// Where the model lives.
    pub device: Device,
    /// Seed of the order of samples and of all transforms.
    pub seed: u64,
    /// This process among those that train together.
    pub rank: Rank,
    /// Whether `train_dataloader` is built.
    pub with_train: bool,
    /// Whether `val_dataloader` and `val_evaluator` are built, where the config has them.
    pub with_val: bool,
    /// Whether `test_dataloader` and `test_evaluator` are built, where the config has them.
    pub with_test: bool,
    /// What happens with a picture that cannot be read, where a data loader does not say it itself
    /// (`on_bad_image='stop'` or `'skip'`).
    pub on_bad_image: OnBadImage,
    /// A file that the predictions of a test are written to, in COCO's results format.
    pub predictions_out: Option<PathBuf>,
}

/// On the CPU, training and validation, stopping at a broken picture.
impl Default for TaskOptions {
    fn default() -> TaskOptions {
        TaskOptions {
            device: Device::Cpu,
            seed: 0,
            rank: Rank::default(),
            with_train: true,
            with_val: true,
            with_test: false,
            on_bad_image: OnBadImage::Stop,
            predictions_out: None,
        }
    }
}

/// Builds model, data, metric and painter from a config as MMDetection writes it.
///
/// Of a data loader, `batch_size`, `num_workers` (threads here), `sampler`, `drop_last` and `dataset` count.
/// `persistent_workers`, `pin_memory`, `prefetch_factor` and `collate_fn` are taken and have no effect: they are
/// about processes that hand tensors to one another, and threads need none of it.
///
/// Errors: a part that is missing or wrong, with its key path.
pub fn build_task(config: &Json, options: &TaskOptions) -> Result<Task, BuildError> {
    let model = config.get("model").ok_or_else(|| missing("model"))?;
    let model = build_model(&with_preprocessor(model, config), options.device)?;
    let most = head_classes(model.as_ref());
    let train = match options.with_train {
        true => Some(loader(config, "train_dataloader", options, &most)?),
        false => None,
    };
    let validation = match options.with_val {
        true => sets(config, ["val_dataloader", "val_evaluator"], options, &most)?,
        false => Vec::new(),
    };
    let mut test = match options.with_test {
        true => sets(config, ["test_dataloader", "test_evaluator"], options, &most)?,
        false => Vec::new(),
    };
    if let Some(out) = &options.predictions_out {
        let is_only_one = test.len() == 1;
        for set in &mut test {
            let name = set.name.as_deref().filter(|_| !is_only_one);
            set.metric.write_to(name.map_or_else(|| out.clone(), |name| with_name(out, name)));
        }
    }
    let painted = validation.iter().chain(&test).map(|set| &set.loader).next();
    let painter = painted.or(train.as_ref()).map(painter);
    Ok(Task {
        model,
        train_data: train.map(source),
        validation: validation.into_iter().map(parts).collect(),
        test: test.into_iter().map(parts).collect(),
        painter,
    })
}

/// The `model` of a config with the `data_preprocessor` that stands beside it, where it has none of its own.
///
/// Source: MMEngine 0.10.7 `runner/runner.py`.
pub fn with_preprocessor(model: &Json, config: &Json) -> Json {
    let mut model = model.clone();
    // A detector that is wrapped is the one that takes pictures.
    if model["module"].is_object() {
        model["module"] = with_preprocessor(&model["module"], config);
        return model;
    }
    if let (Some(own), Some(beside)) = (model.as_object_mut(), present(config, "data_preprocessor"))
        && own.get("data_preprocessor").is_none_or(Json::is_null)
    {
        own.insert("data_preprocessor".into(), beside.clone());
    }
    model
}

/// `results.json` of the set `night` is `results_night.json`.
fn with_name(out: &Path, name: &str) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let ending = out.extension().map_or(String::new(), |end| format!(".{}", end.to_string_lossy()));
    out.with_file_name(format!("{stem}_{name}{ending}"))
}

fn source(loader: Loader) -> Box<dyn DataSource> {
    Box::new(DetectionData::new(loader))
}

fn parts(set: Evaluated) -> EvaluationSet {
    EvaluationSet { name: set.name, data: source(set.loader), evaluator: Box::new(set.metric) }
}

fn painter(loader: &Loader) -> Box<dyn Painter> {
    Box::new(DetectionPainter::new(loader.dataset().meta().clone()))
}

/// The head's name and its classes.
type MostClasses = Option<(String, u64)>;

/// How many classes the model tells apart, and the part that does; `None` for one without such a head.
fn head_classes(model: &dyn Model) -> Option<(String, u64)> {
    let modules = model.modules();
    let is_last = |name: &str| name == "head" || name.ends_with("bbox_head");
    let head = modules.iter().find(|module| is_last(&module.name))?;
    Some((head.name.clone(), head.attributes["num_classes"].as_u64()?))
}

/// A label beyond the head's classes is found here, and not in the middle of an epoch.
fn check_classes(key: &str, classes: &[String], most: &MostClasses) -> Result<(), BuildError> {
    let too_few = most.as_ref().filter(|(_, most)| *most < classes.len() as u64);
    let Some((head, found)) = too_few else { return Ok(()) };
    let shown = classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    let rest = if classes.len() > 10 { ", ..." } else { "" };
    let message = format!(
        "expected at least {}, as many as the data set has classes ({shown}{rest}), found {found} (set \
         num_classes, or metainfo.classes of {key}.dataset)",
        classes.len()
    );
    Err(BuildError::Value { path: format!("model.{head}.num_classes"), message })
}

/// A classifier needs pictures with a class each, a detector such with boxes.
fn check_kind(key: &str, dataset: &dyn Dataset, head: &MostClasses) -> Result<(), BuildError> {
    let (Some((head, _)), false) = (head, dataset.is_empty()) else { return Ok(()) };
    let (is_classifier, has_classes) = (head == "head", dataset.record(0).label.is_some());
    let (expected, found) = match (is_classifier, has_classes) {
        (true, false) => ("a class for each picture, such as CustomDataset", "boxes"),
        (false, true) => ("boxes, such as CocoDataset", "a class for each picture"),
        _ => return Ok(()),
    };
    let message = format!(
        "expected a data set with {expected}, as the model needs it, found one with {found}"
    );
    Err(BuildError::Value { path: format!("{key}.dataset"), message })
}

fn loader(
    config: &Json,
    key: &'static str,
    options: &TaskOptions,
    most_classes: &MostClasses,
) -> Result<Loader, BuildError> {
    let entry = present(config, key).ok_or_else(|| missing(key))?;
    loader_of(entry, key, options, most_classes)
}

fn loader_of(
    entry: &Json,
    key: &str,
    options: &TaskOptions,
    most_classes: &MostClasses,
) -> Result<Loader, BuildError> {
    let defaults = LoaderConfig {
        seed: options.seed,
        rank: options.rank,
        on_bad_image: options.on_bad_image,
        ..LoaderConfig::default()
    };
    let loader = Loader::from_config(entry, defaults)
        .map_err(|source| BuildError::Data { path: key.into(), source: source.into() })?;
    check_classes(key, &loader.dataset().meta().classes, most_classes)?;
    check_kind(key, loader.dataset().as_ref(), most_classes)?;
    Ok(loader)
}

/// A data loader with its metric, and the name of the two among others.
struct Evaluated {
    name: Option<String>,
    loader: Loader,
    metric: DetectionMetrics,
}

/// The sets of a validation or test; empty where the config has neither data nor metric.
///
/// MMEngine knows one. Here a list of data loaders is several sets, with a list of as many evaluators; the name of a set
/// is its loader's `name`, or its number.
fn sets(
    config: &Json,
    [data_key, metric_key]: [&'static str; 2],
    options: &TaskOptions,
    most_classes: &MostClasses,
) -> Result<Vec<Evaluated>, BuildError> {
    let (data, metric) = match (present(config, data_key), present(config, metric_key)) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), None) => return Err(missing(metric_key)),
        (None, Some(_)) => return Err(missing(data_key)),
        (Some(data), Some(metric)) => (data, metric),
    };
    let Some(loaders) = data.as_array() else {
        return Ok(vec![evaluated(
            None,
            (data, data_key),
            (metric, metric_key),
            options,
            most_classes,
        )?]);
    };
    let metrics = metric.as_array().filter(|metrics| metrics.len() == loaders.len());
    let metrics = metrics.ok_or_else(|| BuildError::Value {
        path: metric_key.into(),
        message: format!(
            "expected a list of {}, an evaluator for each entry of {data_key}, found {}",
            loaders.len(),
            metric.as_array().map_or("one".to_owned(), |metrics| metrics.len().to_string())
        ),
    })?;
    let mut sets: Vec<Evaluated> = Vec::new();
    for (index, (loader, metric)) in loaders.iter().zip(metrics).enumerate() {
        let (data_path, metric_path) =
            (format!("{data_key}.{index}"), format!("{metric_key}.{index}"));
        let (name, loader) = named(loader, index, &data_path)?;
        if sets.iter().any(|set| set.name.as_ref() == Some(&name)) {
            let message = format!("expected a name for each set, found \"{name}\" twice");
            return Err(BuildError::Value { path: format!("{data_path}.name"), message });
        }
        let (data, metric) = ((&loader, data_path.as_str()), (metric, metric_path.as_str()));
        sets.push(evaluated(Some(name), data, metric, options, most_classes)?);
    }
    Ok(sets)
}

/// Takes the name out of a data loader's entry.
fn named(entry: &Json, index: usize, path: &str) -> Result<(String, Json), BuildError> {
    let mut entry = entry.clone();
    let name = entry.as_object_mut().and_then(|entry| entry.remove("name"));
    match name {
        None => Ok((index.to_string(), entry)),
        Some(Json::String(name)) if is_plain(&name) => Ok((name, entry)),
        Some(other) => {
            let message = format!("expected a name of letters, digits, - and _, found {other}");
            Err(BuildError::Value { path: format!("{path}.name"), message })
        }
    }
}

/// Whether a name can be part of a metric's name and of a file's.
fn is_plain(name: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(is_one)
}

fn evaluated(
    name: Option<String>,
    (data, data_path): (&Json, &str),
    (metric, metric_path): (&Json, &str),
    options: &TaskOptions,
    most_classes: &MostClasses,
) -> Result<Evaluated, BuildError> {
    // A picture may be predicted otherwise in other company: every batch is one of a single process.
    let loader = loader_of(data, data_path, options, most_classes)?.sharing_batches();
    let dataset = loader.dataset();
    // MMEngine takes one metric or a list of them.
    let entries = metric.as_array().map_or(std::slice::from_ref(metric), Vec::as_slice);
    let evaluators: Result<Vec<_>, _> = entries
        .iter()
        .map(|entry| MetricEvaluator::from_dataset(entry, dataset.as_ref()))
        .collect();
    let evaluators = evaluators
        .map_err(|source| BuildError::Data { path: metric_path.into(), source: source.into() })?;
    Ok(Evaluated { name, loader, metric: DetectionMetrics::new(evaluators) })
}

fn present<'a>(config: &'a Json, key: &str) -> Option<&'a Json> {
    config.get(key).filter(|value| !value.is_null())
}

fn missing(key: &'static str) -> BuildError {
    BuildError::MissingKey { path: "config".into(), key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snaphook_data::DatasetMeta;
    use snaphook_data::image::{Drawn, draw_detections, read_image};
    use snaphook_data::shapes::{CLASSES, ShapesOptions};
    use snaphook_runner::{DrawRequest, StepContext};
    use std::path::Path;

    fn dataset(root: &Path, part: &str) -> Json {
        json!({
            "type": "CocoDataset",
            "data_root": root,
            "ann_file": format!("annotations/{part}.json"),
            "data_prefix": {"img": format!("{part}/")},
            "metainfo": {"classes": CLASSES},
            "test_mode": part == "val",
            "pipeline": [{"type": "LoadImageFromFile"},
                {"type": "Resize", "scale": [64, 64], "keep_ratio": true},
                {"type": "LoadAnnotations", "with_bbox": true}, {"type": "PackDetInputs"}]
        })
    }

    fn config(root: &Path) -> Json {
        let val = json!({"batch_size": 2, "num_workers": 0, "persistent_workers": false,
            "sampler": {"type": "DefaultSampler", "shuffle": false}, "dataset": dataset(root, "val")});
        json!({
            "model": {
                "type": "YOLOX",
                "backbone": {"type": "CSPDarknet", "deepen_factor": 0.33, "widen_factor": 0.125},
                "neck": {"type": "YOLOXPAFPN", "in_channels": [32, 64, 128], "out_channels": 32},
                "bbox_head": {"type": "YOLOXHead", "num_classes": 3, "in_channels": 32,
                    "feat_channels": 32},
                "test_cfg": {"score_thr": 0.0, "nms": {"type": "nms", "iou_threshold": 0.65}}
            },
            "train_dataloader": {"batch_size": 2, "num_workers": 1, "pin_memory": true,
                "sampler": {"type": "DefaultSampler", "shuffle": true},
                "dataset": dataset(root, "train")},
            "val_dataloader": val,
            "val_evaluator": {"type": "CocoMetric", "metric": "bbox",
                "ann_file": root.join("annotations/val.json")}
        })
    }

    #[test]
    fn a_task_trains_scores_and_draws() {
        tch::set_num_threads(1);
        let folder = tempfile::tempdir().unwrap();
        ShapesOptions { train: 4, val: 2, size: 64, seed: 0 }.draw_into(folder.path()).unwrap();
        let mut task = build_task(&config(folder.path()), &TaskOptions::default()).unwrap();
        task.model.init_weights(0).unwrap();

        let mut train = task.train_data.unwrap();
        assert_eq!((train.batches(), train.samples()), (2, 4));
        train.start_epoch(0, 1).unwrap();
        let batch = train.next_batch().unwrap().unwrap();
        let losses = task.model.loss(&batch, &StepContext::default()).unwrap();
        assert!(losses.0.iter().all(|(_, loss)| loss.double_value(&[]).is_finite()));
        assert!(train.next_batch().is_none());
        assert_eq!(train.meta()["classes"], json!(CLASSES));

        let EvaluationSet { mut data, evaluator: mut metric, .. } = task.validation.pop().unwrap();
        data.start_epoch(0, 0).unwrap();
        let batch = data.next_batch().unwrap().unwrap();
        task.model.set_training(false);
        let predictions = task.model.predict(&batch).unwrap();
        metric.process(&batch, &predictions).unwrap();
        let evaluation = metric.evaluate(2).unwrap();
        assert!(evaluation.metrics.iter().any(|(name, _)| name == "coco/bbox_mAP"));

        let request = DrawRequest {
            folder: folder.path().join("pictures"),
            name: "val_img".into(),
            keeps_names: false,
            step: 5,
            score_threshold: 0.0,
            most: 1,
            with_truth: false,
        };
        let mut painter = task.painter.unwrap();
        let mut draw = |with_truth| {
            let request = DrawRequest { with_truth, ..request.clone() };
            let files = painter.draw(&batch, &predictions, &request).unwrap();
            assert_eq!(files, [request.folder.join("val_img_5.png")]);
            read_image(&files[0]).unwrap()
        };
        let (alone, both) = (draw(false), draw(true));
        assert_eq!((alone.shape(), both.shape()), ([64, 64], [64, 128]));
        assert_eq!(both.cropped(64, 0, 64, 64), alone, "predictions to the right");
        let record = snaphook_data::build_dataset(&dataset(folder.path(), "val")).unwrap();
        let record = record.record(0).clone();
        let meta = DatasetMeta::from_classes(CLASSES.map(str::to_owned).to_vec());
        let objects = record.instances.iter().map(|instance| Drawn {
            bbox: instance.bbox,
            label_text: CLASSES[instance.label as usize].to_owned(),
            colour: meta.colour(instance.label),
        });
        let mut expected = read_image(&record.img_path).unwrap();
        draw_detections(&mut expected, &objects.collect::<Vec<_>>());
        assert_eq!(both.cropped(0, 0, 64, 64), expected, "annotations to the left");
    }

    fn drawn() -> (tempfile::TempDir, Json) {
        let folder = tempfile::tempdir().unwrap();
        ShapesOptions { train: 2, val: 2, size: 64, seed: 0 }.draw_into(folder.path()).unwrap();
        let config = config(folder.path());
        (folder, config)
    }

    #[test]
    fn a_metric_without_a_file_scores_against_the_data_set() {
        let (_folder, mut config) = drawn();
        config["val_evaluator"] = json!({"type": "CocoMetric"});
        let mut task = build_task(&config, &TaskOptions::default()).unwrap();
        let mut metric = task.validation.pop().unwrap().evaluator;
        let evaluation = metric.evaluate(0).unwrap();
        assert!(
            evaluation.metrics.iter().any(|(name, value)| name == "coco/bbox_mAP" && *value == 0.0)
        );
    }

    #[test]
    fn several_validation_sets_have_names_and_a_metric_each() {
        let (_folder, mut config) = drawn();
        let set = config["val_dataloader"].clone();
        let mut night = set.clone();
        night["name"] = "night".into();
        let metric = config["val_evaluator"].clone();
        config["val_dataloader"] = json!([set, night]);
        config["val_evaluator"] = json!([metric, [metric]]);
        let task = build_task(&config, &TaskOptions::default()).unwrap();
        let names: Vec<_> = task.validation.iter().map(|set| set.name.clone().unwrap()).collect();
        assert_eq!(names, ["0", "night"]);

        let error =
            |config: &Json| build_task(config, &TaskOptions::default()).err().unwrap().to_string();
        config["val_evaluator"] = metric;
        assert_eq!(
            error(&config),
            "val_evaluator: expected a list of 2, an evaluator for each entry of val_dataloader, found one"
        );
    }

    #[test]
    fn fewer_classes_in_the_head_than_in_the_data_are_refused() {
        let (_folder, mut config) = drawn();
        config["model"]["bbox_head"]["num_classes"] = 2.into();
        let error = build_task(&config, &TaskOptions::default()).err().unwrap().to_string();
        assert_eq!(
            error,
            "model.bbox_head.num_classes: expected at least 3, as many as the data set has classes (circle, \
             square, triangle), found 2 (set num_classes, or metainfo.classes of train_dataloader.dataset)"
        );
    }

    #[test]
    fn a_missing_part_is_named() {
        let error = |key: &str| {
            let mut config = config(Path::new("nowhere"));
            config.as_object_mut().unwrap().remove(key);
            build_task(&config, &TaskOptions { with_train: false, ..TaskOptions::default() })
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(error("model"), "config: key \"model\" is missing");
        assert_eq!(error("val_evaluator"), "config: key \"val_evaluator\" is missing");
        assert_eq!(error("nothing"), "val_dataloader: cannot be built");
    }
}
