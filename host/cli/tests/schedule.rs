//! `snaphook config schedule` as people and programs use it.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value as Json, json};

const CONFIG: &str = "\
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0., bias_lr_mult=2.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.5, by_epoch=False, begin=0, end=2),
    dict(type='MultiStepLR', milestones=[3], gamma=0.1)]
";

fn run(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snaphook"));
    command.args(line.split_whitespace()).current_dir(folder).output().unwrap()
}

fn workspace(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.py"), config).unwrap();
    folder
}

fn printed(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(config: &str, line: &str) -> String {
    let folder = workspace(config);
    let output = run(folder.path(), line);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_iteration_is_printed_without_a_data_set() {
    let folder = workspace(CONFIG);
    let text = printed(folder.path(), "config schedule a.py --iters-per-epoch 2 --format json");
    let rows: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[0], json!({"iter": 0, "epoch": 0, "lr": [0.05, 0.1], "momentum": [0.9, 0.9]}));
    // A linear schedule of two steps ends one step early, as MMEngine's does: it stays at its first factor.
    assert_eq!(rows[5]["lr"], json!([0.1, 0.2]));
    assert_eq!((&rows[6]["epoch"], rows[6]["iter"].as_u64()), (&json!(3), Some(6)));
    let last = rows[7]["lr"][0].as_f64().unwrap();
    assert!((last - 0.01).abs() < 1e-12, "{last}");
    let csv = printed(folder.path(), "config schedule a.py --iters-per-epoch 2 --format csv");
    assert!(
        csv.starts_with("iter,epoch,lr_0,lr_1,momentum_0,momentum_1\n0,0,0.05,0.1,0.9,0.9\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 9);
}

#[test]
fn the_curve_is_drawn_for_people_and_for_browsers() {
    let folder = workspace(CONFIG);
    let text = printed(folder.path(), "config schedule a.py --iters-per-epoch 30");
    assert!(text.starts_with("a: 120 iterations, 4 epochs of 30\n"), "{text}");
    assert!(text.contains("•") && text.contains("last 0.01 (iteration 119, epoch 3)"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("momentum"), "{text}");
    let quiet = printed(folder.path(), "config schedule a.py --iters-per-epoch 30 --plot a.svg");
    assert!(quiet.is_empty());
    let svg = std::fs::read_to_string(folder.path().join("a.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<polyline").count(), 2);
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let wrong = CONFIG.replace("milestones=[3]", "milestone=[3]");
    let text = refused(&wrong, "config schedule a.py --iters-per-epoch 2");
    assert!(text.contains("param_scheduler.1.milestone") && text.contains("milestones"), "{text}");
    let text = refused(CONFIG, "config schedule a.py");
    assert!(text.contains("--iters-per-epoch N"), "{text}");
    let text = refused("optim_wrapper = dict(optimizer=dict(type='SGD'))", "config schedule a.py");
    assert!(text.contains("train_cfg.max_epochs"), "{text}");
    let wrong = CONFIG.replace("type='SGD', lr=0.1, momentum=0.9", "type='LBFGS', lr=0.1");
    let text = refused(&wrong, "config schedule a.py --iters-per-epoch 2");
    assert!(text.contains("LBFGS is not in this version"), "{text}");
}

#[test]
fn a_loop_by_iterations_needs_no_epoch() {
    let config = "\
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=3)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1.0))
param_scheduler = dict(type='StepLR', step_size=2, gamma=0.5, by_epoch=False)
";
    let folder = workspace(config);
    let text = printed(folder.path(), "config schedule a.py --format json");
    let rows: Vec<Json> = serde_json::from_str(&text).unwrap();
    let rates: Vec<f64> = rows.iter().map(|row| row["lr"][0].as_f64().unwrap()).collect();
    assert_eq!(rates, [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    assert!(rows.iter().all(|row| row["epoch"] == 0 && row["momentum"] == json!([0.9])));
}
