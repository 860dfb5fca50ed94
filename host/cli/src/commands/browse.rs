//! `snaphook browse`: what the pipeline of a config really feeds the model, boxes drawn, as one page of pictures.
//! Links no libtorch, builds no model.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value as Json;
use snaphook_data::image::{Drawn, draw_detections};
use snaphook_data::{DatasetMeta, Loader, LoaderConfig, Sample};
use snaphook_report::{Figure, Gallery, gallery_page};

use crate::args::{BrowseArguments, DataSection};
use crate::{CliError, Exit, load_with_warnings, output};

/// Quality of the pictures on the page.
const JPEG_QUALITY: u8 = 90;
/// Between the steps of a pipeline.
const ARROW: &str = " → ";
/// Blue, green, red of boxes that are neither object nor background.
const IGNORED: [u8; 3] = [150, 150, 150];

pub(super) fn browse(arguments: &BrowseArguments) -> Result<Exit, CliError> {
    let config = load_with_warnings(&arguments.config, &arguments.load)?;
    let key = arguments.set.key();
    let section = config.get(key).map(|value| if value.is_array() { &value[0] } else { value });
    let Some(section) = section.filter(|value| !value.is_null()) else {
        let way_out = " (choose another with --set)";
        return Err(CliError::Section { key, way_out });
    };
    let in_config = config.get("randomness.seed").and_then(Json::as_u64);
    let seed = arguments.seed.or(in_config).unwrap_or(0);
    let loader = Loader::from_config(section, LoaderConfig { seed, ..LoaderConfig::default() })?;
    if !arguments.skip.is_empty() {
        check_skipped(section, &arguments.skip)?;
        loader.set_skip_types(&arguments.skip);
    }
    let start = Instant::now();
    let mut shown: Vec<Sample> = Vec::new();
    for batch in loader.epoch(arguments.epoch - 1, 0) {
        shown.extend(batch?.samples);
        if shown.len() >= arguments.pictures as usize {
            break;
        }
    }
    shown.truncate(arguments.pictures as usize);
    let seconds = start.elapsed().as_secs_f64() / shown.len().max(1) as f64;
    let meta = loader.dataset().meta().clone();
    let figures: Result<Vec<Figure>, CliError> = shown.iter().map(|s| figure(s, &meta)).collect();
    let mut facts = facts(section, &loader, &shown, &meta);
    facts.push(("random numbers".into(), format!("seed {seed}, epoch {}", arguments.epoch)));
    facts.push(("time of a picture".into(), format!("{:.1} ms", seconds * 1e3)));
    let gallery = Gallery {
        title: format!("{}: {}", config.stem(), words(arguments.set)),
        facts,
        warnings: warnings(&shown, arguments.set),
        figures: figures?,
    };
    let page = gallery_page(&gallery, &arguments.config.display().to_string());
    std::fs::write(&arguments.out, page).map_err(|error| CliError::File {
        path: arguments.out.clone(),
        message: format!("cannot be written: {error}"),
    })?;
    output::print(&format!("{}\n", arguments.out.display()))?;
    Ok(Exit::Done)
}

/// Errors: a transform to skip that no pipeline has.
fn check_skipped(section: &Json, skipped: &[String]) -> Result<(), CliError> {
    let mut pipelines = Vec::new();
    collect_pipelines(&section["dataset"], &mut pipelines);
    let plain = snaphook_components::plain_type;
    let known: Vec<&str> = pipelines.iter().flat_map(|text| text.split(ARROW)).map(plain).collect();
    match skipped.iter().find(|name| !known.contains(&plain(name))) {
        None => Ok(()),
        Some(name) => Err(CliError::Skip { name: name.clone(), known: known.join(", ") }),
    }
}

fn words(set: DataSection) -> &'static str {
    match set {
        DataSection::Train => "what training sees",
        DataSection::Val => "what validation sees",
        DataSection::Test => "what the test sees",
    }
}

fn class(meta: &DatasetMeta, label: i64) -> String {
    let found = usize::try_from(label).ok().and_then(|label| meta.classes.get(label));
    found.cloned().unwrap_or_else(|| label.to_string())
}

/// The picture with its boxes, as a file, and what was done to it.
fn figure(sample: &Sample, meta: &DatasetMeta) -> Result<Figure, CliError> {
    let mut image = sample.image.clone();
    let flags = sample.ignore.iter().chain(std::iter::repeat(&false));
    let labels = sample.labels.iter().chain(std::iter::repeat(&-1));
    let drawn: Vec<Drawn> = sample
        .boxes_on_image()
        .into_iter()
        .zip(labels.zip(flags))
        .map(|(bbox, (label, is_ignored))| {
            let (word, colour) = match is_ignored {
                true => (" ignored", IGNORED),
                false => ("", meta.colour(*label)),
            };
            Drawn { bbox, label_text: class(meta, *label) + word, colour }
        })
        .collect();
    draw_detections(&mut image, &drawn);
    let path = &sample.meta.img_path;
    let bytes = image.to_jpeg(JPEG_QUALITY).map_err(|message| CliError::File {
        path: path.clone(),
        message: format!("cannot be drawn: {message}"),
    })?;
    let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Figure { bytes, title, lines: lines(sample, meta) })
}

fn lines(sample: &Sample, meta: &DatasetMeta) -> Vec<String> {
    let shown = &sample.meta;
    let ([height, width], [old_height, old_width]) = (shown.img_shape, shown.ori_shape);
    let mut what =
        format!("id {} · {width} x {height}, was {old_width} x {old_height}", shown.img_id);
    if shown.scale_factor != [1.0, 1.0] {
        let [x, y] = shown.scale_factor;
        what += &format!(" · resized by {x:.3} x {y:.3}");
    }
    if let Some(direction) = shown.flip_direction {
        what += &format!(" · flipped ({})", format!("{direction:?}").to_lowercase());
    }
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    sample.labels.iter().for_each(|label| *counts.entry(*label).or_default() += 1);
    let counts: Vec<String> =
        counts.iter().map(|(label, count)| format!("{count} {}", class(meta, *label))).collect();
    let found = match sample.record.label {
        Some(label) => format!("class {}", class(meta, label)),
        None if counts.is_empty() => "no boxes".to_owned(),
        None => counts.join(", "),
    };
    vec![what, found]
}

fn facts(
    section: &Json,
    loader: &Loader,
    shown: &[Sample],
    meta: &DatasetMeta,
) -> Vec<(String, String)> {
    let boxes: usize = shown.iter().map(|sample| sample.boxes.len()).sum();
    let mut by_class = vec![0usize; meta.classes.len()];
    let are_whole = shown.iter().any(|sample| sample.record.label.is_some());
    let labels = shown.iter().flat_map(|sample| sample.labels.iter().chain(&sample.record.label));
    for label in labels {
        let count = usize::try_from(*label).ok().and_then(|label| by_class.get_mut(label));
        count.into_iter().for_each(|count| *count += 1);
    }
    let mut classes: Vec<String> =
        meta.classes.iter().zip(by_class).map(|(name, count)| format!("{name} {count}")).collect();
    if classes.len() > 30 {
        classes.truncate(30);
        classes.push("…".into());
    }
    let mut pipelines = Vec::new();
    collect_pipelines(&section["dataset"], &mut pipelines);
    let batches =
        format!("{} in an epoch, of {} pictures each", loader.len(), loader.config().batch_size);
    vec![
        ("pictures".into(), format!("{} shown of {}", shown.len(), loader.dataset_len())),
        ("batches".into(), batches),
        match are_whole {
            true => ("classes shown".into(), classes.join(", ")),
            false => ("boxes shown".into(), format!("{boxes} ({})", classes.join(", "))),
        },
        ("pipeline".into(), pipelines.join("; then ")),
    ]
}

/// The types of each pipeline, the innermost first.
fn collect_pipelines(dataset: &Json, found: &mut Vec<String>) {
    if dataset["dataset"].is_object() {
        collect_pipelines(&dataset["dataset"], found);
    }
    let parts = dataset["datasets"].as_array().into_iter().flatten();
    parts.for_each(|part| collect_pipelines(part, found));
    let steps = dataset["pipeline"].as_array().into_iter().flatten();
    let types: Vec<&str> = steps.filter_map(|step| step["type"].as_str()).collect();
    let text = types.join(ARROW);
    if !types.is_empty() && !found.contains(&text) {
        found.push(text);
    }
}

fn warnings(shown: &[Sample], set: DataSection) -> Vec<String> {
    let mut found = Vec::new();
    let is_empty = |sample: &&Sample| sample.boxes.is_empty() && sample.record.label.is_none();
    let empty = shown.iter().filter(is_empty).count();
    if empty > 0 {
        found.push(format!("Without any box: {empty} of these {} pictures.", shown.len()));
    }
    let is_small = |b: &[f32; 4]| b[2] - b[0] < 2.0 || b[3] - b[1] < 2.0;
    let small = shown.iter().flat_map(Sample::boxes_on_image).filter(is_small).count();
    if small > 0 && set == DataSection::Train {
        let what = if small == 1 { "1 box is".to_owned() } else { format!("{small} boxes are") };
        found.push(format!(
            "{what} thinner than 2 pixels (FilterAnnotations with min_gt_bbox_wh drops such)."
        ));
    }
    found
}
