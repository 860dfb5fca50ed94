//! What a run writes for people and programs: MMEngine's lines and files, JSON lines, TensorBoard's event files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use snaphook_report::tensorboard::{Value, read_events};
use snaphook_tests::Workspace;

/// The folder of the only run in `work/`.
fn run_folder(workspace: &Workspace) -> PathBuf {
    let entries = std::fs::read_dir(workspace.work()).unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<PathBuf> = entries.filter(|path| path.join("vis_data").is_dir()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().unwrap()
}

fn stem(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A training line taken apart, as parsers of MMEngine's logs do it: `Epoch(train) [1][2/2]  name: value  …`.
struct TrainLine {
    epoch: u64,
    batch: u64,
    values: BTreeMap<String, f64>,
}

fn train_line(line: &str) -> Option<TrainLine> {
    let (time, rest) = line.split_once(" - mmengine - INFO - Epoch(train)")?;
    // `2026/01/31 23:59:59`
    assert_eq!((time.len(), time.matches('/').count(), time.matches(':').count()), (19, 2, 2));
    let rest = rest.trim_start().strip_prefix('[')?;
    let (epoch, rest) = rest.split_once("][")?;
    let (batch, rest) = rest.split_once('/')?;
    let (_, rest) = rest.split_once("]  ")?;
    let value = |field: &str| {
        let (name, text) = field.split_once(": ")?;
        Some((name.to_owned(), text.parse::<f64>().ok()?))
    };
    let values = rest.split("  ").filter_map(value).collect();
    Some(TrainLine { epoch: epoch.parse().ok()?, batch: batch.trim().parse().ok()?, values })
}

/// Reads a JSON log as MMDetection's `analyze_logs.py` does: by epoch, the values of each name; metrics go to the
/// epoch that the last training record named, under the part of their name behind the slash.
fn json_log(path: &Path) -> BTreeMap<u64, BTreeMap<String, Vec<f64>>> {
    let mut epochs: BTreeMap<u64, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    let mut epoch = 1;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let record = record.as_object().unwrap();
        epoch = record.get("epoch").and_then(Json::as_u64).unwrap_or(epoch);
        for (name, value) in record {
            let name = name.rsplit('/').next().unwrap().to_owned();
            epochs.entry(epoch).or_default().entry(name).or_default().push(value.as_f64().unwrap());
        }
    }
    epochs
}

#[test]
fn parsers_of_mmengines_logs_read_ours() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    let folder = run_folder(&workspace);
    let log = std::fs::read_to_string(folder.join(stem(&folder)).with_extension("log")).unwrap();
    let lines: Vec<TrainLine> = log.lines().filter_map(train_line).collect();
    let places: Vec<_> = lines.iter().map(|line| (line.epoch, line.batch)).collect();
    assert_eq!(places, [(1, 1), (1, 2), (2, 1), (2, 2)]);

    let scalars = folder.join("vis_data/scalars.json");
    let copy = folder.join("vis_data").join(stem(&folder)).with_extension("json");
    assert_eq!(std::fs::read(&scalars).unwrap(), std::fs::read(copy).unwrap());
    let epochs = json_log(&scalars);
    assert_eq!(epochs.keys().copied().collect::<Vec<_>>(), [1, 2]);
    for name in ["lr", "data_time", "loss", "loss_cls", "loss_bbox", "loss_obj", "time", "iter"] {
        assert_eq!(epochs[&2][name].len(), if name.ends_with("time") { 3 } else { 2 }, "{name}");
    }
    assert_eq!(epochs[&2]["bbox_mAP"].len(), 1);
    assert_eq!(epochs[&2]["step"], [3.0, 4.0, 2.0]);

    // A line shows the numbers of its record, rounded to four digits.
    for (line, loss) in lines.iter().zip([1, 2].iter().flat_map(|epoch| &epochs[epoch]["loss"])) {
        assert!((line.values["loss"] - loss).abs() <= 0.5e-4 + 1e-9, "{loss}");
    }
    let names = log.lines().filter(|line| line.contains("Exp name: tiny_")).count();
    assert_eq!(names, 2, "one at the end of each epoch");
    assert!(!log.contains("memory:"), "there is no memory of a GPU to tell");
}

#[test]
fn a_test_leaves_its_metrics_as_one_json_object() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    std::fs::rename(workspace.work(), workspace.file("trained")).unwrap();
    let outcome = workspace.snaphook(["test", "tiny.py", "trained/epoch_1", "--work-dir", "work"]);
    outcome.expect_code(0).expect_text(&["Epoch(test) [2/2]    coco/bbox_mAP: "]);
    let folder = run_folder(&workspace);
    let text = std::fs::read_to_string(folder.join(stem(&folder)).with_extension("json")).unwrap();
    let metrics: Json = serde_json::from_str(&text).unwrap();
    let names: Vec<&String> = metrics.as_object().unwrap().keys().collect();
    assert_eq!(names[0], "coco/bbox_mAP");
    assert_eq!(names[names.len() - 2..], ["data_time", "time"]);
}

#[test]
fn json_lines_are_all_that_stderr_says() {
    let workspace = Workspace::new();
    let outcome = workspace.train(&["train_cfg.max_epochs=1", "--log-format", "json"]);
    outcome.expect_code(0);
    assert_eq!(outcome.stdout, "");
    // On some processors libtorch itself has something to say.
    let lines = outcome.stderr.lines().filter(|line| !line.starts_with("[W"));
    let records: Vec<Json> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<u64> = records.iter().filter_map(|record| record["step"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 1], "two iterations and a validation");
    assert!(records.iter().all(|record| record["time"].is_string() && record["level"].is_string()));
    assert!(records.iter().any(|record| record["scalars"]["loss"].is_f64()));

    let failed = workspace.train(&["--log-format", "json", "--cfg-options", "model.type=Nothing"]);
    failed.expect_code(1);
    let last: Json = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().unwrap().contains("Nothing"), "{last}");
}

#[test]
fn event_files_hold_scalars_pictures_and_the_config() {
    let workspace = Workspace::with(
        "visualizer = dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend'), \
         dict(type='TensorboardVisBackend')])\n\
         default_hooks['visualization'] = dict(type='DetVisualizationHook', draw=True, interval=1)",
    );
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let vis_data = run_folder(&workspace).join("vis_data");
    let files = std::fs::read_dir(&vis_data).unwrap().map(|entry| entry.unwrap().path());
    let is_events = |path: &PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents.")
    };
    let events: Vec<PathBuf> = files.filter(is_events).collect();
    assert_eq!(events.len(), 1);
    let events = read_events(&events[0]).unwrap();
    let of = |tag: &str| -> Vec<(i64, Value)> {
        let values = events.iter().flat_map(|event| {
            event.values.iter().map(|value| (event.step, value.tag.clone(), value.value.clone()))
        });
        values.filter(|value| value.1 == tag).map(|(step, _, value)| (step, value)).collect()
    };
    let losses = of("loss");
    assert_eq!(losses.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);
    let epochs = json_log(&vis_data.join("scalars.json"));
    for ((_, value), loss) in losses.iter().zip(&epochs[&1]["loss"]) {
        assert_eq!(*value, Value::Scalar(*loss as f32));
    }
    assert_eq!(of("coco/bbox_mAP").len(), 1);
    let pictures = of("val_img");
    assert_eq!(pictures.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 3]);
    for (step, picture) in pictures {
        let png = std::fs::read(vis_data.join(format!("vis_image/val_img_{step}.png"))).unwrap();
        assert_eq!(picture, Value::Picture { width: 128, height: 64, png });
    }
    let config = std::fs::read_to_string(vis_data.join("config.py")).unwrap();
    assert_eq!(of("config/text_summary"), [(0, Value::Text(config))]);
    read_by_tensorboard(&run_folder(&workspace));
}

/// TensorBoard's own package reads the same, where a `python3` has it (or the one that `SNAPHOOK_TENSORBOARD_PYTHON` names).
fn read_by_tensorboard(run: &Path) {
    let python = std::env::var("SNAPHOOK_TENSORBOARD_PYTHON");
    let python = python.unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/check_event_files.py");
    let Ok(output) = Command::new(&python).arg(script).arg(run).output() else { return };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let _ = write!(std::io::stderr(), "{}", text(&output.stdout));
}

#[test]
fn a_backend_that_is_not_there_is_refused_before_anything_is_written() {
    let workspace =
        Workspace::with("visualizer = dict(vis_backends=[dict(type='WandbVisBackend')])");
    let outcome = workspace.train(&[]);
    outcome.expect_code(1).expect_error(&["visualizer.vis_backends.0.type", "WandbVisBackend"]);
    assert!(!workspace.work().exists());
}
