//! Pictures without annotations: files, folders and patterns, as a person names them.
//! Knows nothing of models.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::leaf::AnnotatedImages;
use super::{Dataset, DatasetMeta};
use crate::{DataError, ImageId, ImageRecord};

/// Endings of pictures that can be read.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"];

/// The pictures that these names mean: a file is itself, a folder all pictures in it, and a name with `*` or `?` all
/// pictures of its folder that it fits. Sorted within each name, and each picture once.
///
/// Errors: a name that means nothing, a folder that cannot be read.
pub fn find_images(names: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for name in names {
        all.extend(meant(name)?.into_iter().filter(|path| seen.insert(path.clone())));
    }
    Ok(all)
}

fn meant(name: &Path) -> Result<Vec<PathBuf>, DataError> {
    if name.is_file() {
        return Ok(vec![name.to_owned()]);
    }
    let nothing = |reason: &str| {
        DataError::config(name.display().to_string(), format!("{reason}, found nothing"))
    };
    if name.is_dir() {
        let found = pictures(name, &|_| true)?;
        let is_empty = found.is_empty();
        return if is_empty {
            Err(nothing("expected a folder with .jpg, .png, .bmp, .webp or .tif files"))
        } else {
            Ok(found)
        };
    }
    let pattern = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !pattern.contains(['*', '?']) {
        return Err(nothing("expected a picture, a folder or a pattern such as 'a/*.jpg'"));
    }
    let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let found = pictures(folder, &|file| fits(pattern.as_bytes(), file.as_bytes()))?;
    if found.is_empty() {
        Err(nothing("expected .jpg, .png, .bmp, .webp or .tif files that fit"))
    } else {
        Ok(found)
    }
}

fn pictures(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::ReadImage { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_picture = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        if is_picture && path.is_file() && is_wanted(&name) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern: `*` is anything, `?` is one letter.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name) || matches!(name, [_, tail @ ..] if fits(pattern, tail))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => fits(rest, tail),
        ([letter, rest @ ..], [first, tail @ ..]) => letter == first && fits(rest, tail),
        _ => false,
    }
}

/// A data set of pictures without annotations, for a test pipeline.
///
/// Errors: an unknown transform or keyword in the pipeline.
pub fn image_files(
    paths: &[PathBuf],
    pipeline: &Value,
    meta: DatasetMeta,
) -> Result<Arc<dyn Dataset>, DataError> {
    let record = |(number, path): (usize, &PathBuf)| ImageRecord {
        img_id: ImageId::Number(number as i64),
        img_path: path.clone(),
        width: 0,
        height: 0,
        instances: Vec::new(),
        label: None,
    };
    let records = paths.iter().enumerate().map(record).collect();
    Ok(Arc::new(AnnotatedImages::without_annotations(records, pipeline, meta)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;

    #[test]
    fn stars_and_question_marks_fit() {
        let fit = |pattern: &str, name: &str| fits(pattern.as_bytes(), name.as_bytes());
        assert!(fit("*", "") && fit("a*.jpg", "abc.jpg") && fit("?b*", "ab") && fit("*a*a", "aa"));
        assert!(!fit("a?", "a") && !fit("a*b", "abc") && !fit("", "a"));
    }

    #[test]
    fn files_folders_and_patterns_are_found_once_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.png", "a.JPG", "c.jpeg"] {
            Image::filled(2, 2, [0; 3]).save(&at(name)).unwrap();
        }
        std::fs::write(at("notes.txt"), "no picture").unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let found = find_images(paths).unwrap();
            found.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(&[folder.path().into()]), ["a.JPG", "b.png", "c.jpeg"]);
        assert_eq!(names(&[at("b.png"), at("*.?p*g"), at("*")]), ["b.png", "c.jpeg", "a.JPG"]);
        for nothing in ["none.jpg", "x*.png", "empty"] {
            let error = find_images(&[at(nothing)]).unwrap_err().to_string();
            assert!(error.contains(nothing) && error.contains("found nothing"), "{error}");
        }
    }
}
