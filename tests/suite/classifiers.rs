//! Whole runs of a classifier, in MMPretrain's words: it learns to tell two colours.

use serde_json::Value as Json;
use snaphook_data::Image;
use snaphook_tests::{Running, Workspace, weights};

const CONFIG: &str = include_str!("../fixtures/colours.py");

/// Blue, green and red of the middle of each class.
const COLOURS: [(&str, [u8; 3]); 2] = [("blue", [210, 60, 40]), ("red", [40, 60, 210])];

/// A picture in a colour, with stripes that say nothing.
fn picture(colour: [u8; 3], number: usize) -> Image {
    let mut image = Image::filled(24, 20, colour);
    for y in 0..20 {
        for x in (number % 5..24).step_by(4 + number % 3) {
            image.set_pixel(x as i64, y, [90 + 7 * number as u8; 3]);
        }
    }
    image
}

/// Eight pictures of each class to train with and four to measure with; `tiny.py` is the classifier's config.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    std::fs::remove_dir_all(workspace.file("data")).unwrap();
    let mut list = String::new();
    for (label, (class, colour)) in COLOURS.into_iter().enumerate() {
        for (split, count) in [("train", 8), ("val", 4)] {
            let folder = workspace.file(format!("data/{split}/{class}"));
            std::fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let name = format!("{number}.png");
                picture(colour, number + 3 * label).save(&folder.join(&name)).unwrap();
                if split == "val" {
                    list += &format!("{class}/{name} {label}\n");
                }
            }
        }
    }
    workspace.write("data/val.txt", list);
    workspace.write("tiny.py", CONFIG);
    workspace
}

#[test]
fn two_colours_are_learnt_tested_predicted_and_looked_at() {
    let workspace = workspace();
    let checked = workspace.snaphook(["config", "check", "tiny.py"]);
    checked.expect_code(0).expect_text(&["no errors, no warnings"]);
    let outcome = workspace.train(&[]);
    outcome.expect_code(0).expect_text(&[
        "Epoch(val) [4][2/2]",
        "accuracy/top1: 100.0000",
        "accuracy/top2: 100.0000",
        "best_accuracy_top1_epoch_",
    ]);
    let line = ["test", "tiny.py", "work/epoch_4", "--work-dir", "tested", "--out", "found.json"];
    let shown = line.into_iter().chain(["--show-dir", "shown"]);
    workspace.snaphook(shown).expect_code(0).expect_text(&["accuracy/top1: 100.0000"]);
    let found: Json = serde_json::from_str(&workspace.read("found.json")).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 8);
    assert_eq!((&found[0]["image_id"], &found[0]["class"]), (&"blue/0.png".into(), &"blue".into()));

    let line = ["predict", "tiny.py", "work/epoch_4", "data/val/red", "--out", "predicted"];
    let outcome = workspace.snaphook(line);
    outcome.expect_code(0).expect_text(&["data/val/red/0.png: red ", "predicted/predictions.json"]);
    let found: Json = serde_json::from_str(&workspace.read("predicted/predictions.json")).unwrap();
    let classes = found["images"][1]["classes"].as_array().unwrap();
    assert_eq!((classes.len(), &classes[0]["class"]), (2, &"red".into()));
    let drawn = std::fs::read(workspace.file("predicted/1.png")).unwrap();
    assert_ne!(drawn, std::fs::read(workspace.file("data/val/red/1.png")).unwrap());

    workspace.snaphook(["browse", "tiny.py", "--pictures", "5"]).expect_code(0);
    let page = workspace.read("browse.html");
    assert!(page.contains("class red") && page.contains("RandomResizedCrop"), "{page}");
    assert!(!page.contains("Without any box"));
}

#[test]
fn accuracy_is_the_same_for_every_number_of_ranks_and_a_resume_is_exact() {
    let whole = workspace();
    whole.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    let cut = workspace();
    cut.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    cut.train(&["train_cfg.max_epochs=2", "--resume"]).expect_code(0);
    let last = |workspace: &Workspace| weights(&workspace.file("work/epoch_2"));
    assert!(last(&whole) == last(&cut));
    // After an epoch of training, not all are right.
    let found: Vec<String> = [1, 3]
        .into_iter()
        .map(|world| {
            let out = format!("found{world}.json");
            let running = cut.start_ranks(world, |_| {
                let fixed = ["test", "tiny.py", "work/epoch_1", "--work-dir", "tested", "--out"];
                fixed.iter().map(|text| (*text).to_owned()).chain([out.clone()]).collect()
            });
            let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
            outcomes.iter().for_each(|outcome| {
                outcome.expect_code(0);
            });
            let lines = outcomes[0].stdout.lines();
            let line = lines.rev().find(|line| line.contains("accuracy/top1:")).unwrap();
            let metrics =
                line.split("accuracy/").skip(1).map(|part| part.split("data_time").next());
            let metrics: Vec<_> = metrics.flatten().map(str::trim).collect();
            format!("{}\n{}", metrics.join(" "), cut.read(&out))
        })
        .collect();
    assert!(found[0].starts_with("top1: ") && found[0].len() > 400, "{}", found[0]);
    assert_eq!(found[0], found[1]);
}

#[test]
fn what_does_not_go_together_is_refused_before_training() {
    let workspace = workspace();
    let outcome = workspace.train(&["model.head.num_classes=1"]);
    outcome.expect_code(1).expect_error(&["model.head.num_classes", "at least 2", "(blue, red)"]);
    workspace.write("data/val.txt", "blue/0.png 0\nred/0.png 2\n");
    let outcome = workspace.train(&[]);
    outcome.expect_code(1).expect_error(&["val.txt: line 2: expected a label of 0 to 1, found 2"]);
    let boxes = Workspace::new();
    boxes.write("colours.py", CONFIG);
    let lines = "_base_ = 'tiny.py'\nmodel = dict(_delete_=True, type='ImageClassifier',\n    \
                 backbone=dict(type='ResNet', depth=18, base_channels=8), neck=dict(type='GlobalAveragePooling'),\n    \
                 head=dict(type='LinearClsHead', num_classes=3, in_channels=64))\n";
    boxes.write("other.py", lines);
    let outcome = boxes.snaphook(["train", "other.py", "--work-dir", "work"]);
    outcome.expect_code(1).expect_error(&["a class for each picture, such as CustomDataset"]);
}
