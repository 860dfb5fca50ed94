//! `CustomDataset` and `ImageNet`: pictures with a class each, in folders of classes or in a list.
//! Knows nothing of pictures' content.
//!
//! Source: MMPretrain 1.x `datasets/custom.py`, `datasets/imagenet.py`: labels are the places of the folders' names in their
//! order, and lines of a list end with a label. We differ where `metainfo.classes` names folders: labels are places in
//! `classes` then, whatever their order. The classes of `ImageNet` are called as its folders are.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use snaphook_components::data::{CustomDataset, ImageNet};

use super::leaf::{AnnotatedImages, LeafConfig};
use crate::{DataError, ImageId, ImageRecord};

/// Endings of files that are pictures, where none are given.
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "bmp", "tif"];

pub(super) fn build(declared: CustomDataset) -> Result<AnnotatedImages, DataError> {
    let endings = declared.extensions.clone();
    build_named("CustomDataset", LeafConfig::new("CustomDataset", declared.fields(), &[])?, endings)
}

pub(super) fn build_imagenet(declared: ImageNet) -> Result<AnnotatedImages, DataError> {
    let (endings, list) = (declared.extensions.clone(), declared.list_of_split());
    let mut fields = declared.fields();
    if fields.ann_file.is_empty()
        && let Some(list) = list
        && Path::new(&fields.data_root).join(&list).is_file()
    {
        fields.ann_file = list;
    }
    build_named("ImageNet", LeafConfig::new("ImageNet", fields, &[])?, endings)
}

fn build_named(
    name: &'static str,
    mut config: LeafConfig,
    endings: Option<Vec<String>>,
) -> Result<AnnotatedImages, DataError> {
    let records = match config.has_ann_file {
        true => listed(&mut config)?,
        false => in_folders(name, &mut config, &endings_of(endings))?,
    };
    config.finish(name, records)
}

/// Small letters, without the point.
fn endings_of(given: Option<Vec<String>>) -> Vec<String> {
    let plain = |ending: &String| ending.trim_start_matches('.').to_ascii_lowercase();
    match given {
        Some(given) => given.iter().map(plain).collect(),
        None => ENDINGS.map(str::to_owned).to_vec(),
    }
}

fn record(root: &Path, name: String, label: usize) -> ImageRecord {
    ImageRecord {
        img_path: root.join(&name),
        img_id: ImageId::Name(name),
        // A look into each file would take longer than reading the list.
        width: 0,
        height: 0,
        instances: Vec::new(),
        label: Some(label as i64),
    }
}

/// Each line is the path of a picture and its label.
fn listed(config: &mut LeafConfig) -> Result<Vec<ImageRecord>, DataError> {
    let path = config.ann_file.clone();
    let text = fs::read_to_string(&path)
        .map_err(|source| DataError::ReadAnnotations { path: path.clone(), source })?;
    let (mut records, mut seen) = (Vec::new(), HashSet::new());
    let wrong = |line: usize, what: String| {
        DataError::annotations(&path, format!("line {}: {what}", line + 1))
    };
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let expected = || format!("expected a path and a label, found {:?}", text.trim());
        let (name, label) = text
            .trim()
            .rsplit_once(char::is_whitespace)
            .and_then(|(name, label)| Some((name.trim_end(), label.parse::<usize>().ok()?)))
            .ok_or_else(|| wrong(line, expected()))?;
        let classes = config.meta.classes.len();
        if classes > 0 && label >= classes {
            let what = format!("expected a label of 0 to {}, found {label}", classes - 1);
            return Err(wrong(line, what));
        }
        if !seen.insert(name.to_owned()) {
            return Err(wrong(line, format!("{name}: occurs twice")));
        }
        records.push(record(&config.prefixes.img, name.to_owned(), label));
    }
    if config.meta.classes.is_empty() {
        let most = records.iter().filter_map(|record| record.label).max().unwrap_or(-1);
        config.set_classes((0..=most).map(|label| label.to_string()).collect());
    }
    Ok(records)
}

fn in_folders(
    name: &str,
    config: &mut LeafConfig,
    endings: &[String],
) -> Result<Vec<ImageRecord>, DataError> {
    let root = config.prefixes.img.clone();
    let folders: Vec<String> = entries(&root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let wrong = |reason: String| DataError::config(name, format!("{}: {reason}", root.display()));
    if folders.is_empty() {
        return Err(wrong("expected a folder for each class, found none".to_owned()));
    }
    if config.meta.classes.is_empty() {
        config.set_classes(folders.clone());
    }
    let classes = &config.meta.classes;
    let place = |folder: &String| classes.iter().position(|class| class == folder);
    let labels: Vec<usize> = match folders.iter().map(place).collect() {
        Some(labels) => labels,
        None if folders.len() == classes.len() => (0..folders.len()).collect(),
        None => {
            let (found, expected) = (folders.len(), classes.len());
            let reason = format!(
                "expected {expected} folders, one for each of metainfo.classes, found {found} ({})",
                folders.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            );
            return Err(wrong(reason));
        }
    };
    let mut records = Vec::new();
    for (folder, label) in folders.iter().zip(labels) {
        let mut pictures = Vec::new();
        collect(&root.join(folder), endings, &mut pictures)?;
        if pictures.is_empty() {
            let reason =
                format!("class {folder}: expected pictures ({}), found none", endings.join(", "));
            return Err(wrong(reason));
        }
        let own = |path: &PathBuf| {
            let below = path.strip_prefix(&root).unwrap_or(path);
            record(&root, below.to_string_lossy().into_owned(), label)
        };
        records.extend(pictures.iter().map(own));
    }
    Ok(records)
}

/// What is in a folder, in the order of names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::ReadAnnotations { path: folder.to_owned(), source };
    let found = fs::read_dir(folder).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        found.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// Pictures of a folder and those below it.
fn collect(folder: &Path, endings: &[String], found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for path in entries(folder)? {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if path.is_dir() {
            collect(&path, endings, found)?;
        } else if ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Image, build_dataset};

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["train/cat/b.png", "train/cat/a.jpg", "train/ant/deep/c.PNG", "train/ant/d.png"]
        {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            Image::filled(3, 2, [0; 3]).save(&path.with_extension("png")).unwrap();
            fs::rename(path.with_extension("png"), &path).unwrap();
        }
        fs::write(folder.path().join("train/ant/notes.txt"), "no picture").unwrap();
        folder
    }

    fn dataset(folder: &tempfile::TempDir, mut value: Value) -> Result<Vec<(String, i64)>, String> {
        value["data_root"] = json!(folder.path());
        let dataset = build_dataset(&value).map_err(|error| error.to_string())?;
        let one = |index| {
            let record = dataset.record(index);
            (record.img_id.to_string(), record.label.unwrap())
        };
        Ok((0..dataset.len()).map(one).collect())
    }

    fn named(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
        pairs.iter().map(|(name, label)| ((*name).to_owned(), *label)).collect()
    }

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let folder = folder();
        let all =
            named(&[("ant/d.png", 0), ("ant/deep/c.PNG", 0), ("cat/a.jpg", 1), ("cat/b.png", 1)]);
        for value in [
            json!({"type": "CustomDataset", "data_prefix": "train"}),
            json!({"type": "CustomDataset", "data_prefix": {"img_path": "train"}}),
            json!({"type": "ImageNet", "split": "train"}),
        ] {
            assert_eq!(dataset(&folder, value).unwrap(), all);
        }
        let jpg = json!({"type": "CustomDataset", "data_prefix": "train", "extensions": [".jpg"]});
        assert!(dataset(&folder, jpg).unwrap_err().contains("class ant: expected pictures (jpg)"));
    }

    #[test]
    fn named_classes_have_labels_by_their_names_or_by_the_order_of_folders() {
        let folder = folder();
        let labels = |classes: Value| {
            let value = json!({"type": "CustomDataset", "data_prefix": "train",
                "metainfo": {"classes": classes}});
            dataset(&folder, value)
                .map(|all| all.into_iter().map(|(_, label)| label).collect::<Vec<_>>())
        };
        assert_eq!(labels(json!(["cat", "ant"])).unwrap(), [1, 1, 0, 0]);
        assert_eq!(labels(json!(["dog", "cat", "ant"])).unwrap(), [2, 2, 1, 1]);
        assert_eq!(labels(json!(["small", "large"])).unwrap(), [0, 0, 1, 1]);
        let error = labels(json!(["small"])).unwrap_err();
        assert!(
            error.contains(
                "expected 1 folders, one for each of metainfo.classes, found 2 (ant, cat)"
            )
        );
    }

    #[test]
    fn a_list_says_what_is_there_and_wrong_lines_are_named() {
        let folder = folder();
        let with = |text: &str, value: Value| {
            fs::create_dir_all(folder.path().join("meta")).unwrap();
            fs::write(folder.path().join("meta/train.txt"), text).unwrap();
            dataset(&folder, value)
        };
        let custom = || {
            json!({"type": "CustomDataset", "ann_file": "meta/train.txt", "data_prefix": "train",
            "metainfo": {"classes": ["x", "y"]}})
        };
        let found = with("cat/a.jpg 1\n\nant/d.png\t0\n", custom()).unwrap();
        assert_eq!(found, named(&[("cat/a.jpg", 1), ("ant/d.png", 0)]));
        let image_net = json!({"type": "ImageNet", "split": "train"});
        assert_eq!(with("cat/a.jpg 4", image_net).unwrap(), named(&[("cat/a.jpg", 4)]));
        let error = |text: &str| with(text, custom()).unwrap_err();
        assert!(error("cat/a.jpg 1\ncat/b.png").contains("line 2: expected a path and a label"));
        assert!(
            error("cat/a.jpg 2").contains("train.txt: line 1: expected a label of 0 to 1, found 2")
        );
        assert!(error("a.jpg 1\na.jpg 0").contains("line 2: a.jpg: occurs twice"));
    }
}
