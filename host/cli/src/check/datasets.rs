//! The data sets of a config with their key paths, wrappers looked into. Opens no file.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_config::Config;

/// The sections that have data.
pub(crate) const LOADERS: [&str; 3] = ["train_dataloader", "val_dataloader", "test_dataloader"];

/// A data set that names files.
pub(crate) struct Leaf<'a> {
    /// Its key path.
    pub(crate) key: String,
    /// Its dict.
    pub(crate) value: &'a Json,
}

impl Leaf<'_> {
    /// A file or folder below `data_root`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = Path::new(self.value["data_root"].as_str().unwrap_or_default());
        if name.is_empty() { root.to_owned() } else { root.join(name) }
    }

    /// The annotation file.
    pub(crate) fn annotations(&self) -> Option<PathBuf> {
        self.value["ann_file"].as_str().filter(|name| !name.is_empty()).map(|name| self.path(name))
    }
}

/// All data sets below `section` that wrap no other.
pub(crate) fn leaves<'a>(config: &'a Config, section: &str) -> Vec<Leaf<'a>> {
    let key = format!("{section}.dataset");
    let mut found = Vec::new();
    if let Some(value) = config.get(&key) {
        collect(key, value, &mut found);
    }
    found
}

fn collect<'a>(key: String, value: &'a Json, found: &mut Vec<Leaf<'a>>) {
    if value["dataset"].is_object() {
        return collect(format!("{key}.dataset"), &value["dataset"], found);
    }
    match value["datasets"].as_array() {
        Some(parts) => parts
            .iter()
            .enumerate()
            .for_each(|(index, part)| collect(format!("{key}.datasets.{index}"), part, found)),
        None if value.is_object() => found.push(Leaf { key, value }),
        None => {}
    }
}
