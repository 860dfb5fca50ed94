//! Looking at data and predictions: `browse`, `predict`, `test --show-dir`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_data::image::read_image;
use snaphook_tests::Workspace;

/// Every box is drawn, however unsure a model of one epoch is of it.
const SHOW_ALL: &str = "model['test_cfg']['score_thr'] = 0.0";

fn trained() -> Workspace {
    let workspace = Workspace::with(SHOW_ALL);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    workspace
}

/// The pictures of a page.
fn pictures(page: &str) -> Vec<&str> {
    page.split("data:image/").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The first folder of this name below another.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    let own = folders.iter().find(|path| path.file_name().is_some_and(|own| own == name)).cloned();
    own.or_else(|| folders.iter().find_map(|path| below(path, name)))
}

#[test]
fn a_page_shows_what_training_sees_the_same_each_time() {
    let workspace = Workspace::new();
    let page = |out: &str, arguments: &[&str]| {
        let line = ["browse", "tiny.py", "--pictures", "3", "--out", out];
        workspace.snaphook(line.iter().chain(arguments)).expect_code(0).expect_text(&[out]);
        workspace.read(out)
    };
    let first = page("a.html", &[]);
    assert_eq!(pictures(&first).len(), 3);
    for word in ["tiny: what training sees", "Mosaic", "64 x 64", "seed 11, epoch 1", "boxes shown"]
    {
        assert!(first.contains(word), "{word}");
    }
    assert_eq!(pictures(&page("b.html", &[])), pictures(&first));
    for other in [
        &["--epoch", "2"][..],
        &["--seed", "3"],
        &["--skip", "YOLOXHSVRandomAug"],
        &["--set", "val"],
    ] {
        assert_ne!(pictures(&page("c.html", other)), pictures(&first), "{other:?}");
    }
    // Nothing is fetched by a page: it can be sent as it is.
    assert!(!first.contains("http://") && !first.contains("https://"));
    let outcome = workspace.snaphook(["browse", "tiny.py", "--skip", "Mosiac"]);
    outcome.expect_code(1).expect_error(&["Mosiac", "Mosaic"]);
    assert!(!workspace.work().exists(), "no run is left behind");
}

#[test]
fn pictures_of_ones_own_are_predicted_written_and_drawn() {
    let workspace = trained();
    let line = [
        "predict",
        "tiny.py",
        "work/epoch_1",
        "data/val/00000.jpg",
        "data/val/*1.jpg",
        "--out",
        "found",
    ];
    let outcome = workspace.snaphook(line.iter().chain(&["--score-thr", "0"]));
    outcome.expect_code(0).expect_text(&[
        "data/val/00000.jpg: ",
        " found",
        "found/predictions.json",
    ]);
    let found: Json = serde_json::from_str(&workspace.read("found/predictions.json")).unwrap();
    assert_eq!(found["classes"], serde_json::json!(["circle", "square", "triangle"]));
    let images = found["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    for image in images {
        let detections = image["detections"].as_array().unwrap();
        assert!(!detections.is_empty());
        let scores: Vec<f64> = detections.iter().map(|d| d["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        let first = &detections[0];
        let index = first["label"].as_u64().unwrap() as usize;
        assert_eq!(first["class"], found["classes"][index]);
        let name = Path::new(image["file"].as_str().unwrap()).file_name().unwrap();
        let own = read_image(&workspace.file("data/val").join(name)).unwrap();
        let drawn = read_image(&workspace.file("found").join(name)).unwrap();
        assert_eq!(drawn.shape(), own.shape());
        assert_ne!(drawn.data(), own.data());
        assert_eq!((&image["width"], &image["height"]), (&64.into(), &64.into()));
    }
    // The same boxes as in the order of a test, and no picture where none is wanted.
    let line =
        ["predict", "tiny.py", "work/epoch_1", "data/val", "--out", "alone", "--no-pictures"];
    workspace.snaphook(line).expect_code(0);
    assert_eq!(names(&workspace.file("alone")), ["predictions.json"]);
    let again: Json = serde_json::from_str(&workspace.read("alone/predictions.json")).unwrap();
    assert_eq!(again["images"].as_array().unwrap().len(), 4);
    assert_eq!(again["images"][0]["detections"], images[0]["detections"]);
    let outcome = workspace.snaphook(["predict", "tiny.py", "work/epoch_1", "nowhere.jpg"]);
    outcome.expect_code(1).expect_error(&["nowhere.jpg", "found nothing"]);
    workspace.write("broken.jpg", "no picture");
    let outcome = workspace.snaphook(["predict", "tiny.py", "work/epoch_1", "broken.jpg"]);
    outcome.expect_code(1).expect_error(&["broken.jpg"]);
}

#[test]
fn a_bad_picture_among_others_is_named_and_the_others_are_predicted() {
    let workspace = trained();
    for name in ["00000.jpg", "00001.jpg"] {
        let own = std::fs::read(workspace.file("data/val").join(name)).unwrap();
        workspace.write(&format!("mixed/{name}"), "");
        std::fs::write(workspace.file("mixed").join(name), own).unwrap();
    }
    workspace.write("mixed/00000b.jpg", "no picture");
    let line = ["predict", "tiny.py", "work/epoch_1", "mixed", "--out", "found"];
    let outcome = workspace.snaphook(line);
    let reason = "mixed/00000b.jpg: expected a JPEG, PNG, BMP, WebP or TIFF file, found text";
    outcome.expect_code(1).expect_text(&["mixed/00000.jpg: ", "mixed/00001.jpg: "]);
    outcome.expect_error(&[reason, "1 of 3 pictures cannot be read", "mixed/00000b.jpg"]);
    let found: Json = serde_json::from_str(&workspace.read("found/predictions.json")).unwrap();
    let files: Vec<_> = found["images"].as_array().unwrap().iter().map(|i| &i["file"]).collect();
    assert_eq!(files, ["mixed/00000.jpg", "mixed/00001.jpg"]);
    assert_eq!(names(&workspace.file("found")), ["00000.jpg", "00001.jpg", "predictions.json"]);
    let stop = "test_dataloader.on_bad_image=stop";
    let outcome = workspace.snaphook(line.iter().chain(&["--cfg-options", stop]));
    outcome.expect_code(1).expect_error(&[reason]);
}

#[test]
fn hooks_of_plugins_that_are_not_there_do_not_keep_from_predicting() {
    let workspace = trained();
    let config = workspace.read("tiny.py");
    let hooks = "custom_hooks = [dict(type='SomewhereElseHook', speed=3)]\n";
    workspace.write("other.py", format!("{config}\n{hooks}"));
    workspace.snaphook(["test", "other.py", "work/epoch_1"]).expect_code(1);
    let line = ["predict", "other.py", "work/epoch_1", "data/val/00000.jpg", "--out", "found"];
    workspace.snaphook(line).expect_code(0).expect_text(&["data/val/00000.jpg: "]);
}

#[test]
fn a_test_draws_its_pictures_where_it_is_told_to() {
    let workspace = trained();
    let hook = "default_hooks.visualization={'type': 'DetVisualizationHook', 'score_thr': 0.0}";
    let line = ["test", "tiny.py", "work/epoch_1", "--work-dir", "tested", "--show-dir", "shown"];
    workspace.snaphook(line.iter().chain(&["--cfg-options", hook])).expect_code(0);
    let shown = below(&workspace.file("tested"), "shown").unwrap();
    assert_eq!(names(&shown), ["00000.jpg", "00001.jpg", "00002.jpg", "00003.jpg"]);
    for name in names(&shown) {
        let own = read_image(&workspace.file("data/val").join(&name)).unwrap();
        let drawn = read_image(&shown.join(&name)).unwrap();
        let [height, width] = own.shape();
        assert_eq!(drawn.shape(), [height, 2 * width], "annotations to the left");
        assert_ne!(drawn.cropped(width, 0, width, height), own, "{name}");
    }
}

/// One view, the picture as it is: what was found in it is put together with itself.
const ONE_VIEW: &str = "
tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.65), max_per_img=100000))
tta_pipeline = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[
    [dict(type='Resize', scale=img_scale, keep_ratio=True)], [dict(type='RandomFlip', prob=0.0)],
    [dict(type='Pad', pad_to_square=True, pad_val=pad_val)], [dict(type='LoadAnnotations', with_bbox=True)],
    [dict(type='PackDetInputs')]])]
";

#[test]
fn a_test_with_several_views_finds_what_is_in_any_of_them() {
    let workspace = Workspace::with(&format!("{SHOW_ALL}\n{ONE_VIEW}"));
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let test = |flags: &[&str]| {
        let fixed = ["test", "tiny.py", "work/epoch_1", "--out", "found.json"];
        let outcome = workspace.snaphook(fixed.iter().chain(flags));
        outcome.expect_code(0).expect_text(&["coco/bbox_mAP: "]);
        let found: Json =
            serde_json::from_slice(&std::fs::read(workspace.file("found.json")).unwrap()).unwrap();
        (found, outcome)
    };
    let (alone, _) = test(&[]);
    assert!(alone.as_array().unwrap().len() > 4, "{alone}");
    assert_eq!(test(&["--tta"]).0, alone);
    let without = ["--tta", "--cfg-options", "tta_model=None", "tta_pipeline=None"];
    let (mirrored, outcome) = test(&without);
    outcome.expect_text(&["tta_model is not in the config", "tta_pipeline is not in the config"]);
    assert_ne!(mirrored, alone);
}
