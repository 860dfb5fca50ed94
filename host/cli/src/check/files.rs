//! Files and folders that a config names. Knows nothing of what is in them.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_config::{Config, nearest};

use super::Finding;
use super::datasets::{LOADERS, Leaf, leaves};
use crate::checkpoint_url;

/// What must be at a path.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Folder,
    Either,
}

pub(crate) fn check_files(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in LOADERS {
        leaves(config, section).iter().for_each(|leaf| findings.extend(missing_of(leaf)));
    }
    for section in ["val_evaluator", "test_evaluator"] {
        findings.extend(missing_of_metrics(config, section));
    }
    for key in ["load_from", "resume"] {
        let path = config.get(key).and_then(Json::as_str);
        if let Some(path) = path.filter(|path| checkpoint_url(Path::new(path)).is_none()) {
            findings.extend(missing(key, Path::new(path), Kind::Either));
        }
    }
    findings.into_iter().map(|finding| finding.placed(config)).collect()
}

fn missing_of_metrics(config: &Config, section: &str) -> Vec<Finding> {
    let entries: Vec<(String, &Json)> = match config.get(section) {
        Some(Json::Array(items)) => {
            let key = |index| format!("{section}.{index}.ann_file");
            items.iter().enumerate().map(|(index, item)| (key(index), item)).collect()
        }
        Some(item) => vec![(format!("{section}.ann_file"), item)],
        None => Vec::new(),
    };
    let file = |(key, item): (String, &Json)| {
        missing(&key, Path::new(item["ann_file"].as_str()?), Kind::File)
    };
    entries.into_iter().filter_map(file).collect()
}

/// A root that is missing is told once, and not again with each path below it.
fn missing_of(leaf: &Leaf<'_>) -> Vec<Finding> {
    let key = |name: &str| format!("{}.{name}", leaf.key);
    let root = leaf.path("");
    if !root.as_os_str().is_empty()
        && let Some(finding) = missing(&key("data_root"), &root, Kind::Folder)
    {
        return vec![finding];
    }
    let file = leaf.annotations().and_then(|path| missing(&key("ann_file"), &path, Kind::File));
    let mut findings: Vec<Finding> = file.into_iter().collect();
    for prefix in ["img", "sub_data_root"] {
        if let Some(folder) = leaf.value["data_prefix"][prefix].as_str().filter(|f| !f.is_empty()) {
            let key = key(&format!("data_prefix.{prefix}"));
            findings.extend(missing(&key, &leaf.path(folder), Kind::Folder));
        }
    }
    findings
}

fn missing(key: &str, path: &Path, kind: Kind) -> Option<Finding> {
    let (expected, is_there) = match kind {
        Kind::File => ("a file", path.is_file()),
        Kind::Folder => ("a folder", path.is_dir()),
        Kind::Either => ("a file or folder", path.exists()),
    };
    if is_there {
        return None;
    }
    let found = if path.exists() { "something else" } else { "nothing" };
    let hint = match similar(path) {
        Some(near) if found == "nothing" => format!(" (did you mean {}?)", near.display()),
        _ if path.is_relative() => " (paths are relative to the current folder)".to_owned(),
        _ => String::new(),
    };
    let message = format!("{}: expected {expected}, found {found}{hint}", path.display());
    Some(Finding::error("file", key, message))
}

/// The path with its first missing part replaced by the most similar name that is there.
fn similar(path: &Path) -> Option<PathBuf> {
    let there =
        path.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.is_dir())?;
    let rest = path.strip_prefix(there).ok()?;
    let mut parts = rest.components();
    let wanted = parts.next()?.as_os_str().to_str()?.to_owned();
    let folder = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .take(MOST_NAMES)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let near = nearest(&wanted, names.iter().map(String::as_str))?;
    Some(there.join(near).components().chain(parts).collect())
}

/// Names of a folder that are looked at for a hint.
const MOST_NAMES: usize = 10_000;
