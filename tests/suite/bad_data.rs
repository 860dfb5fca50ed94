//! Data that is missing or broken: one message that names the file, and nothing half-written. What may be
//! skipped is reported and skipped.

use serde_json::{Value as Json, json};
use snaphook_tests::{Outcome, Workspace, checkpoints};

const PICTURE: &str = "data/train/00002.jpg";

/// Skips broken pictures where the default is to stop.
const SKIP: &str =
    "train_dataloader['on_bad_image'] = 'skip'\nval_dataloader['on_bad_image'] = 'skip'";

/// A run that must end with one error that names this file, and without a checkpoint.
#[track_caller]
fn refused(workspace: &Workspace, file: &str) -> Outcome {
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    let error = outcome.error();
    let shown = file.rsplit('/').next().unwrap();
    assert!(error.contains(shown), "{shown} is not in the error\n{outcome}");
    assert_eq!(checkpoints(&workspace.work()), [] as [std::path::PathBuf; 0]);
    outcome
}

/// Changes the annotations of a split.
fn annotate(workspace: &Workspace, split: &str, change: impl FnOnce(&mut Json)) {
    let name = format!("data/annotations/{split}.json");
    let mut coco: Json = serde_json::from_str(&workspace.read(&name)).unwrap();
    change(&mut coco);
    workspace.write(&name, coco.to_string());
}

#[test]
fn a_missing_annotation_file_is_named() {
    for split in ["train", "val"] {
        let workspace = Workspace::new();
        let name = format!("data/annotations/{split}.json");
        std::fs::remove_file(workspace.file(&name)).unwrap();
        refused(&workspace, &name).expect_error(&["tiny.py", "No such file"]);
        assert!(!workspace.work().exists());
    }
}

#[test]
fn an_annotation_file_that_is_no_json_is_named() {
    let workspace = Workspace::new();
    let name = "data/annotations/train.json";
    let text = workspace.read(name);
    workspace.write(name, &text[..text.len() / 2]);
    refused(&workspace, name);
    assert!(!workspace.work().exists());
}

#[test]
fn a_box_that_is_no_number_is_refused_with_its_file() {
    let workspace = Workspace::new();
    annotate(&workspace, "train", |coco| {
        coco["annotations"][0]["bbox"] = json!([1, 2, "three", 4])
    });
    refused(&workspace, "train.json");
}

#[test]
fn an_empty_data_set_is_refused() {
    let workspace = Workspace::new();
    annotate(&workspace, "train", |coco| {
        coco["images"] = json!([]);
        coco["annotations"] = json!([]);
    });
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    assert!(
        outcome.error().contains("empty") || outcome.error().contains("train.json"),
        "{outcome}"
    );
}

#[test]
fn a_picture_that_is_listed_and_absent_is_named() {
    let workspace = Workspace::new();
    std::fs::remove_file(workspace.file(PICTURE)).unwrap();
    refused(&workspace, PICTURE);
}

#[test]
fn a_truncated_picture_is_named() {
    let workspace = Workspace::new();
    let bytes = std::fs::read(workspace.file(PICTURE)).unwrap();
    workspace.write(PICTURE, &bytes[..bytes.len() / 2]);
    refused(&workspace, PICTURE);
}

#[test]
fn a_text_that_is_called_jpg_is_named() {
    let workspace = Workspace::new();
    workspace.write(PICTURE, "this is no picture\n".repeat(100));
    refused(&workspace, PICTURE);
}

#[test]
fn an_empty_picture_is_named() {
    let workspace = Workspace::new();
    workspace.write(PICTURE, "");
    refused(&workspace, PICTURE);
}

#[test]
fn a_broken_picture_of_the_validation_is_named() {
    let workspace = Workspace::new();
    workspace.write("data/val/00001.jpg", "no picture");
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    assert!(outcome.error().contains("val/00001.jpg"), "{outcome}");
}

#[test]
fn a_broken_picture_is_reported_once_and_skipped_where_the_config_says_so() {
    let workspace = Workspace::with(SKIP);
    workspace.write(PICTURE, "no picture");
    workspace.write("data/val/00001.jpg", "no picture");
    let outcome = workspace.train(&[]);
    outcome.expect_code(0);
    for name in ["train/00002.jpg", "val/00001.jpg"] {
        let reports = outcome.text().lines().filter(|line| line.contains(name)).count();
        assert_eq!(reports, 1, "{name}\n{outcome}");
    }
    assert_eq!(checkpoints(&workspace.work()).len(), 3);
}

#[test]
fn a_data_set_of_broken_pictures_alone_ends_with_an_error_and_does_not_hang() {
    let workspace = Workspace::with(SKIP);
    for number in 0..4 {
        workspace.write(&format!("data/train/0000{number}.jpg"), "no picture");
    }
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    assert!(outcome.error().contains("data/train/0000"), "{outcome}");
}

#[test]
fn boxes_of_no_size_train() {
    let workspace = Workspace::new();
    annotate(&workspace, "train", |coco| {
        for (number, annotation) in
            coco["annotations"].as_array_mut().unwrap().iter_mut().enumerate()
        {
            // Width, height, both, and one beyond the picture.
            let boxes = [
                [5.0, 5.0, 0.0, 9.0],
                [5.0, 5.0, 9.0, 0.0],
                [5.0, 5.0, 0.0, 0.0],
                [99.0, 99.0, 9.0, 9.0],
            ];
            annotation["bbox"] = json!(boxes[number % 4]);
            annotation["area"] = json!(0);
        }
    });
    workspace.train(&[]).expect_code(0);
    assert_eq!(checkpoints(&workspace.work()).len(), 3);
}
