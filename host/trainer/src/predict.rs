//! `predict`: objects in a person's own pictures, as JSON and drawn. Leaves no run behind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_cli::args::PredictArguments;
use snaphook_data::image::{Drawn, draw_detections, read_image, saved_name};
use snaphook_data::{
    DataError, DatasetMeta, Detection, Image, ImageId, Loader, LoaderConfig, OnBadImage,
    find_images, image_files,
};
use snaphook_runner::checkpoint::{self, Checkpoint};
use snaphook_runner::{AnyBatch, Model, RunError};
use snaphook_vision::{PicturePredictions, Predictions, build_model, with_preprocessor};

use crate::assemble::remove_scopes;
use crate::cuda;
use crate::error::TrainerError;
use crate::fetch::located;

/// Everything from the command line to the last picture.
pub(crate) fn predict(arguments: &PredictArguments) -> Result<(), TrainerError> {
    let config = snaphook_cli::load(&arguments.config, &arguments.load())?;
    let mut value = config.value().clone();
    remove_scopes(&mut value);
    let images = find_images(&arguments.images)?;
    if let Err(error) = cuda::open() {
        snaphook_cli::report::print_warning(&format!("no CUDA: {error}"));
    }
    let place = format!("{}: ", config.path().display());
    let model = with_preprocessor(&value["model"], &value);
    let built = build_model(&model, cuda::best_device());
    let failed = |error| TrainerError::Build { place: place.clone(), error: Box::new(error) };
    let mut model = built.map_err(failed)?;
    let failed = |error| TrainerError::Run { place: String::new(), error: Box::new(error) };
    let path = located(&arguments.checkpoint)?;
    let checkpoint = load(model.as_ref(), &path).map_err(failed)?;
    let section = section(&value);
    let dataset = leaf(&section["dataset"]);
    let meta = meta(dataset, &checkpoint)?;
    let settings = LoaderConfig {
        num_workers: section["num_workers"].as_u64().unwrap_or(2) as usize,
        on_bad_image: on_bad_image(&section),
        ..LoaderConfig::default()
    };
    let loader = Loader::new(image_files(&images, &pipeline(dataset), meta.clone())?, settings);
    let found = all(model.as_mut(), &loader, &place)?;
    let are_whole = model.modules().iter().any(|module| module.name == "head");
    write(arguments, &Found { images, found, meta, are_whole })
}

/// Other than in a test, where numbers would be of other data, the rest is looked at unless the config says otherwise.
fn on_bad_image(section: &Json) -> OnBadImage {
    match section["on_bad_image"].as_str() {
        Some("stop") => OnBadImage::Stop,
        _ => OnBadImage::Skip,
    }
}

/// Weights of another model are refused.
fn load(model: &dyn Model, path: &Path) -> Result<Checkpoint, RunError> {
    let checkpoint = checkpoint::load(path)?;
    let report = checkpoint::load_into(&checkpoint.model, model.state(), path)?;
    if report.lacks_weights() {
        report.require_whole(path)?;
    }
    Ok(checkpoint)
}

/// The data loader of the test, else that of the validation.
fn section(config: &Json) -> Json {
    let sections = ["test_dataloader", "val_dataloader"].map(|key| &config[key]);
    let found = sections.into_iter().find(|value| !value.is_null()).cloned().unwrap_or_default();
    if found.is_array() { found[0].clone() } else { found }
}

/// The innermost data set, which has pipeline and classes.
fn leaf(dataset: &Json) -> &Json {
    if dataset["dataset"].is_object() {
        return leaf(&dataset["dataset"]);
    }
    if dataset["datasets"].is_array() { leaf(&dataset["datasets"][0]) } else { dataset }
}

fn meta(dataset: &Json, checkpoint: &Checkpoint) -> Result<DatasetMeta, DataError> {
    if let Some(meta) = DatasetMeta::of_dict(dataset)? {
        return Ok(meta);
    }
    // What the model was trained with is in its checkpoint.
    let classes = checkpoint.meta["dataset_meta"]["classes"].as_array();
    let names = classes.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned));
    Ok(DatasetMeta::from_classes(names.collect()))
}

/// The test pipeline without what needs annotations.
fn pipeline(dataset: &Json) -> Json {
    let steps = dataset["pipeline"].as_array().cloned().unwrap_or_default();
    let is_kept = |step: &Json| {
        let name = step["type"].as_str().unwrap_or_default();
        name.rsplit('.').next() != Some("LoadAnnotations")
    };
    Json::Array(steps.into_iter().filter(is_kept).collect())
}

/// What is found in each picture, best first, by the place of the picture; bad ones have none.
fn all(
    model: &mut dyn Model,
    loader: &Loader,
    place: &str,
) -> Result<BTreeMap<usize, Vec<Detection>>, TrainerError> {
    model.set_training(false);
    let failed = |source| {
        let error = RunError::Model { stage: "prediction", iter: 0, source };
        TrainerError::Run { place: place.to_owned(), error: Box::new(error) }
    };
    let mut found = BTreeMap::new();
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        if batch.samples.is_empty() {
            continue;
        }
        let batch: AnyBatch = Box::new(batch);
        let predictions = tch::no_grad(|| model.predict(&batch)).map_err(failed)?;
        let predictions = predictions.downcast::<Predictions>().ok();
        let by_place = |picture: PicturePredictions| match picture.img_id {
            ImageId::Number(place) => Some((usize::try_from(place).ok()?, picture.detections)),
            ImageId::Name(_) => None,
        };
        found.extend(predictions.into_iter().flat_map(|p| p.0).filter_map(by_place));
    }
    Ok(found)
}

fn class(meta: &DatasetMeta, label: i64) -> String {
    let found = usize::try_from(label).ok().and_then(|label| meta.classes.get(label));
    found.cloned().unwrap_or_else(|| label.to_string())
}

/// What was found in all pictures.
struct Found {
    images: Vec<PathBuf>,
    found: BTreeMap<usize, Vec<Detection>>,
    meta: DatasetMeta,
    /// Whether it is of whole pictures: classes, and no boxes.
    are_whole: bool,
}

fn write(arguments: &PredictArguments, all: &Found) -> Result<(), TrainerError> {
    let Found { images, found, meta, are_whole } = all;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TrainerError::File { path, source }
    };
    std::fs::create_dir_all(&arguments.out).map_err(failed(&arguments.out))?;
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    for ((place, path), name) in images.iter().enumerate().zip(names(images)) {
        let Some(detections) = found.get(&place) else {
            let reason = read_image(path).err().map_or("it was left out".to_owned(), in_full);
            snaphook_cli::report::print_warning(&format!("{reason}; it is left out"));
            bad.push(path.display().to_string());
            continue;
        };
        let mut image = read_image(path)?;
        entries.push(entry(path, &image, detections, all));
        if !arguments.no_pictures {
            let drawn =
                if *are_whole { &detections[..detections.len().min(1)] } else { detections };
            draw(&mut image, drawn, meta, arguments.score_thr);
            image.save(&arguments.out.join(name))?;
        }
        println!("{}: {}", path.display(), in_words(detections, all, arguments.score_thr));
    }
    let path = arguments.out.join("predictions.json");
    // A line for each picture: as good for programs, and for a look.
    let lines: Vec<String> = entries.iter().map(Json::to_string).collect();
    let classes = json!(meta.classes);
    let text = format!("{{\"classes\": {classes}, \"images\": [\n{}\n]}}\n", lines.join(",\n"));
    std::fs::write(&path, text).map_err(failed(&path))?;
    println!("{}", path.display());
    match bad.len() {
        0 => Ok(()),
        _ => Err(TrainerError::BadPictures { names: bad, of: images.len() }),
    }
}

/// An error with its causes.
fn in_full(error: DataError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// `3 found`; of a classifier, the best class with its probability.
fn in_words(detections: &[Detection], all: &Found, least: f32) -> String {
    match detections.first().filter(|_| all.are_whole) {
        Some(best) => format!("{} {:.2}", class(&all.meta, best.label), best.score),
        None => {
            let shown = detections.iter().filter(|found| found.score >= least).count();
            format!("{shown} found")
        }
    }
}

fn entry(path: &Path, image: &Image, detections: &[Detection], all: &Found) -> Json {
    let detection = |found: &Detection| {
        let class = class(&all.meta, found.label);
        let mut entry = json!({"class": class, "label": found.label, "score": found.score});
        if !all.are_whole {
            entry["bbox"] = json!(found.bbox);
        }
        entry
    };
    let (width, height) = (image.width(), image.height());
    let key = if all.are_whole { "classes" } else { "detections" };
    let detections: Vec<Json> = detections.iter().map(detection).collect();
    json!({"file": path, "width": width, "height": height, key: detections})
}

fn draw(image: &mut Image, detections: &[Detection], meta: &DatasetMeta, least: f32) {
    let drawn = |found: &Detection| Drawn {
        bbox: found.bbox,
        label_text: format!("{} {:.2}", class(meta, found.label), found.score),
        colour: meta.colour(found.label),
    };
    // The best comes last, on top.
    let shown = detections.iter().rev().filter(|found| found.score >= least);
    draw_detections(image, &shown.map(drawn).collect::<Vec<_>>());
}

/// A name for each drawn picture: its own, with those of its folders before it where another picture has the same, and with
/// a number where that is taken as well.
fn names(images: &[PathBuf]) -> Vec<PathBuf> {
    let mut counts: HashMap<&OsStr, usize> = HashMap::new();
    for image in images {
        *counts.entry(image.file_name().unwrap_or_default()).or_default() += 1;
    }
    let mut taken = HashSet::new();
    let name = |path: &PathBuf| {
        let own = path.file_name().unwrap_or_default();
        let wanted = if counts[own] == 1 { own.into() } else { with_folders(path) };
        let wanted = saved_name(&wanted);
        let numbered = |number: usize| match number {
            1 => wanted.clone(),
            more => wanted.with_file_name(format!("{more}_{}", wanted.display())),
        };
        let free = (1..).map(numbered).find(|name| taken.insert(name.clone()));
        free.unwrap_or(wanted)
    };
    images.iter().map(name).collect()
}

/// `a/b/x.jpg` as `a_b_x.jpg`.
fn with_folders(path: &Path) -> PathBuf {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("_").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_one_name_do_not_overwrite_each_other() {
        let all = ["a/x.jpg", "b/x.jpg", "b/y.jpg", "a_x.jpg"].map(PathBuf::from);
        let expected = ["a_x.jpg", "b_x.jpg", "y.jpg", "2_a_x.jpg"].map(PathBuf::from);
        assert_eq!(names(&all), expected);
        let others = ["a/x.bmp", "x.bmp.png", "y.tif"].map(PathBuf::from);
        let expected = ["x.bmp.png", "2_x.bmp.png", "y.tif.png"].map(PathBuf::from);
        assert_eq!(names(&others), expected);
    }

    #[test]
    fn the_pipeline_is_that_of_the_innermost_data_set_without_annotations() {
        let config = json!({"val_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": {
            "pipeline": [{"type": "LoadImageFromFile"}, {"type": "mmdet.LoadAnnotations"}]}}}});
        let section = section(&config);
        assert_eq!(pipeline(leaf(&section["dataset"])), json!([{"type": "LoadImageFromFile"}]));
    }
}
