//! The data against the rest: classes of the model, pictures for a batch. Opens annotation files.

use std::sync::Arc;

use serde_json::Value as Json;
use snaphook_config::Config;
use snaphook_data::{Dataset, build_dataset, default_classes};

use super::datasets::{LOADERS, leaves};
use super::{CheckOptions, Finding};

/// What is known of the data of a section.
struct Known {
    section: &'static str,
    classes: Option<Vec<String>>,
    /// Pictures that are used, in an epoch.
    samples: Option<usize>,
}

pub(crate) fn check_data(config: &Config, options: CheckOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for section in LOADERS {
        if config.get(section).is_some_and(|value| !value.is_null()) {
            known.push(look(config, section, options, &mut findings));
        }
    }
    findings.extend(class_counts(config, &known));
    findings.extend(other_classes(&known));
    for data in &known {
        findings.extend(batches(config, data));
    }
    findings.extend(learning_rate(config));
    if let Some(train) = known.iter().find(|data| data.section == "train_dataloader") {
        findings.extend(long_schedules(config, train));
    }
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

fn look(
    config: &Config,
    section: &'static str,
    options: CheckOptions,
    findings: &mut Vec<Finding>,
) -> Known {
    let dataset = opened(config, section, options, findings);
    let classes = match &dataset {
        Some(dataset) => Some(dataset.meta().classes.clone()),
        None => written_classes(config, section),
    };
    Known { section, classes, samples: dataset.map(|dataset| dataset.len()) }
}

/// The data set, where all its files are there; what is wrong inside them is a finding.
fn opened(
    config: &Config,
    section: &str,
    options: CheckOptions,
    findings: &mut Vec<Finding>,
) -> Option<Arc<dyn Dataset>> {
    let key = format!("{section}.dataset");
    let value = config.get(&key).filter(|_| options.opens_data)?;
    let has_problems =
        !super::catalog().check(snaphook_components::Role::Dataset, value, &key).is_empty();
    let mut files = leaves(config, section).into_iter().map(|leaf| leaf.annotations());
    let is_readable = files.all(|file| file.is_some_and(|file| file.is_file()));
    if has_problems || !is_readable {
        return None; // told already
    }
    match build_dataset(value) {
        Ok(dataset) => Some(dataset),
        Err(error) => {
            findings.push(Finding::error("data", key, crate::report::error_text(&error)));
            None
        }
    }
}

/// The classes that the config itself names, or those that the data set has of itself.
fn written_classes(config: &Config, section: &str) -> Option<Vec<String>> {
    let leaves = leaves(config, section);
    let leaf = leaves.first()?;
    match &leaf.value["metainfo"]["classes"] {
        Json::String(one) => Some(vec![one.clone()]),
        Json::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => default_classes(snaphook_components::plain_type(leaf.value["type"].as_str()?)),
    }
}

/// `num_classes` of each head against the classes of the training data.
fn class_counts(config: &Config, known: &[Known]) -> Vec<Finding> {
    let train = known.iter().find(|data| data.classes.is_some());
    let Some((section, classes)) = train.and_then(|d| Some((d.section, d.classes.as_ref()?)))
    else {
        return Vec::new();
    };
    let mut heads = Vec::new();
    if let Some(model) = config.get("model") {
        heads_of("model", model, &mut heads);
    }
    let count = classes.len() as u64;
    let shown = classes.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = if classes.len() > 5 { ", …" } else { "" };
    let wrong = |(key, found): (String, u64)| {
        let place = leaves(config, section).into_iter().next();
        let place = place.map_or_else(|| format!("{section}.dataset"), |leaf| leaf.key);
        let text = format!(
            "expected {count}, as many as the data set has classes ({shown}{more}), found {found} (set \
             num_classes, or metainfo.classes of {place})"
        );
        match found.cmp(&count) {
            std::cmp::Ordering::Less => Some(Finding::error("classes", key, text)),
            std::cmp::Ordering::Greater => Some(Finding::warning("classes", key, text)),
            std::cmp::Ordering::Equal => None,
        }
    };
    heads.into_iter().filter_map(wrong).collect()
}

/// Every `num_classes` below the heads of a model.
fn heads_of(key: &str, value: &Json, found: &mut Vec<(String, u64)>) {
    let is_head = key.split('.').any(|step| step == "bbox_head" || step == "head");
    match value {
        Json::Object(map) => {
            for (name, value) in map {
                let below = format!("{key}.{name}");
                match value.as_u64() {
                    Some(count) if name == "num_classes" && is_head => found.push((below, count)),
                    _ if name != "rpn_head" => heads_of(&below, value, found),
                    _ => {}
                }
            }
        }
        Json::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| heads_of(&format!("{key}.{index}"), item, found)),
        _ => {}
    }
}

fn other_classes(known: &[Known]) -> Vec<Finding> {
    let Some((train, rest)) = known.split_first().filter(|(first, _)| first.classes.is_some())
    else {
        return Vec::new();
    };
    let differs = |data: &&Known| data.classes.is_some() && data.classes != train.classes;
    let told = |data: &Known| {
        let count = |data: &Known| data.classes.as_ref().map_or(0, Vec::len);
        let message = format!(
            "its {} classes are others than the {} of {}: a label would mean two things",
            count(data),
            count(train),
            train.section
        );
        Finding::warning("classes", format!("{}.dataset", data.section), message)
    };
    rest.iter().filter(differs).map(told).collect()
}

fn batches(config: &Config, data: &Known) -> Option<Finding> {
    let size = config.get(&format!("{}.batch_size", data.section)).and_then(Json::as_u64)?;
    let samples = data.samples.map(|samples| samples as u64).filter(|samples| *samples < size)?;
    let key = format!("{}.batch_size", data.section);
    let drops = config.get(&format!("{}.drop_last", data.section)) == Some(&Json::Bool(true));
    let found = format!("the data set has {samples} samples, a batch {size}");
    Some(match drops {
        true => {
            Finding::error("batch", key, format!("{found}: with drop_last=True no batch is left"))
        }
        false => Finding::warning(
            "batch",
            key,
            format!("{found}: an epoch is one batch that is not full"),
        ),
    })
}

/// Schedules that count iterations, such as a warm-up, and are longer than a run on this little data.
fn long_schedules(config: &Config, train: &Known) -> Vec<Finding> {
    let number = |key: &str| config.get(key).and_then(Json::as_u64);
    let size = number("train_dataloader.batch_size").unwrap_or(1).max(1);
    let drops = config.get("train_dataloader.drop_last") == Some(&Json::Bool(true));
    let batches = train.samples.map(|samples| match drops {
        true => samples as u64 / size,
        false => (samples as u64).div_ceil(size),
    });
    let (Some(batches), Some(epochs)) = (batches, number("train_cfg.max_epochs")) else {
        return Vec::new();
    };
    let all = batches * epochs;
    let schedulers = config.get("param_scheduler").and_then(Json::as_array);
    let long = |(index, scheduler): (usize, &Json)| {
        let end = scheduler["end"].as_u64().filter(|end| *end > all)?;
        let counts = scheduler["by_epoch"] == Json::Bool(false);
        let message = format!(
            "ends after the run, which has {all} iterations ({epochs} epochs of {batches}): found {end}"
        );
        let key = format!("param_scheduler.{index}.end");
        counts.then(|| Finding::warning("schedule", key, message))
    };
    schedulers.into_iter().flatten().enumerate().filter_map(long).collect()
}

/// The learning rate of MMDetection's configs is meant for eight GPUs.
fn learning_rate(config: &Config) -> Option<Finding> {
    let meant = config.get("auto_scale_lr.base_batch_size").and_then(Json::as_u64)?;
    let size = config.get("train_dataloader.batch_size").and_then(Json::as_u64)?;
    let is_scaled = config.get("auto_scale_lr.enable") == Some(&Json::Bool(true));
    let rate = config.get("optim_wrapper.optimizer.lr").and_then(Json::as_f64)?;
    if is_scaled || meant == size {
        return None;
    }
    let fitting = rate * size as f64 / meant as f64;
    let message = format!(
        "{rate} is meant for batches of {meant} (auto_scale_lr.base_batch_size), a batch here has {size}: \
         about {fitting:.2e} would fit (with auto_scale_lr.enable=True it is scaled)"
    );
    Some(Finding::warning("learning-rate", "optim_wrapper.optimizer.lr", message))
}
