//! Quick trials: flags that make a run short, and what they leave behind.

use snaphook_tests::{Workspace, checkpoints, scalars};

#[test]
fn a_fast_run_goes_through_everything_once_and_saves_nothing() {
    let workspace = Workspace::with("train_dataloader['batch_size'] = 1");
    let outcome = workspace.train(&["--fast-dev-run"]);
    outcome.expect_code(0).expect_text(&["--fast-dev-run", "coco/bbox_mAP"]);
    assert_eq!(checkpoints(&workspace.work()), [] as [std::path::PathBuf; 0]);
    assert!(!workspace.file("work/last_checkpoint").exists());
    let records = scalars(&workspace.work());
    assert_eq!(records.iter().filter(|record| !record["loss"].is_null()).count(), 1);
}

#[test]
fn a_fast_run_by_iterations_ends_after_so_many() {
    let workspace = Workspace::with(
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=100, val_interval=50)\n\
         default_hooks['checkpoint']['by_epoch'] = False",
    );
    workspace.train(&["--fast-dev-run", "2"]).expect_code(0);
    let records = scalars(&workspace.work());
    assert_eq!(records.iter().filter(|record| !record["loss"].is_null()).count(), 2);
}

#[test]
fn limits_shorten_epochs_and_validations() {
    let workspace = Workspace::with("train_dataloader['batch_size'] = 1");
    let limits = ["--limit-train-batches", "0.5", "--limit-val-batches", "1"];
    let outcome = workspace.train(&limits);
    outcome.expect_code(0).expect_text(&["Epoch(train) [3][2/2]", "Epoch(val) [3][1/1]"]);
}

#[test]
fn overfitting_trains_on_the_same_batch_again() {
    // Without an optimizer's step, the same batch has the same loss.
    let still = "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))";
    let workspace = Workspace::with(&format!("{still}\nparam_scheduler = []"));
    workspace.train(&["--overfit-batches", "1"]).expect_code(0);
    let records = scalars(&workspace.work());
    let losses: Vec<&serde_json::Value> =
        records.iter().map(|record| &record["loss_bbox"]).filter(|loss| !loss.is_null()).collect();
    assert_eq!(losses.len(), 3);
    // The log's values are means over what was so far, and those of equal numbers are equal within rounding.
    let values: Vec<f64> = losses.iter().map(|loss| loss.as_f64().unwrap()).collect();
    assert!(values.iter().all(|value| (value - values[0]).abs() < 1e-5), "{values:?}");
}

#[test]
fn a_validation_that_would_fail_is_found_before_training() {
    let workspace = Workspace::new();
    for picture in 0..4 {
        let name = format!("data/val/{picture:05}.jpg");
        assert!(workspace.file(&name).exists(), "{name}");
        workspace.write(&name, "no picture");
    }
    let outcome = workspace.train(&["--sanity-val"]);
    outcome.expect_code(1).expect_error(&["validation data", ".jpg"]);
    assert!(!outcome.text().contains("Epoch(train)"), "{outcome}");
}

#[test]
fn wrong_amounts_are_refused_as_usage() {
    let workspace = Workspace::new();
    for flag in ["--limit-val-batches=0", "--limit-train-batches=1.5", "--fast-dev-run=0"] {
        workspace.train(&[flag]).expect_code(2);
    }
    workspace.train(&["--fast-dev-run=1", "--overfit-batches=1"]).expect_code(2);
}

#[test]
fn a_trial_on_less_data_leaves_the_checkpoints_of_real_runs_alone() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let last = || std::fs::read_to_string(workspace.work().join("last_checkpoint")).unwrap();
    let manifest = || std::fs::read(workspace.file("work/epoch_1/manifest.json")).unwrap();
    let before = (last(), manifest());
    let trial = workspace.train(&["--overfit-batches", "1", "train_cfg.max_epochs=1"]);
    trial.expect_code(0).expect_text(&["Checkpoints will be saved to "]);
    assert!((last(), manifest()) == before);
    let run = trial.stdout.split("Checkpoints will be saved to ").nth(1).unwrap();
    let run = std::path::Path::new(run.lines().next().unwrap().trim_end_matches('.'));
    assert!(run.join("epoch_1/manifest.json").is_file(), "{}", run.display());
}

#[test]
fn a_dry_run_refuses_what_the_start_of_a_training_would() {
    let averages = |arguments: &str| {
        format!(
            "custom_hooks=[dict(type='EMAHook', ema_type='ExponentialMovingAverage', {arguments})]"
        )
    };
    let workspace = Workspace::new();
    for (option, text) in [
        ("default_hooks.checkpoint.save_best=coco/nope_mAP".to_owned(), "no metric"),
        (averages("momentum=1.0"), "between 0 and 1"),
        (averages("begin_epoch=99"), "begin_epoch: expected at most the run's 3 epochs"),
        ("train_cfg.dynamic_intervals=[(2, 0)]".to_owned(), "intervals of at least 1"),
        ("train_cfg.dynamic_intervals=[(5, 2), (1, 3)]".to_owned(), "moments that rise"),
        (
            "log_processor.custom_cfg=[dict(data_src='loss', method_name='mean', log_nam='x')]"
                .to_owned(),
            "did you mean log_name?",
        ),
    ] {
        let outcome = workspace.train(&["--dry-run", "--cfg-options", &option]);
        outcome.expect_code(1).expect_error(&[text]);
        workspace.train(&["--cfg-options", &option]).expect_code(1).expect_error(&[text]);
    }
    let odd = workspace.train(&["--dry-run", "--cfg-options", "env_cfg.cudnn_benchmrk=True"]);
    odd.expect_code(0).expect_text(&["env_cfg.cudnn_benchmrk", "did you mean `cudnn_benchmark`?"]);
}
