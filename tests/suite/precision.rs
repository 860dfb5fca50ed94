//! Mixed precision and scaled learning rates, from the command line to the checkpoint.

use snaphook_tests::{Workspace, scalars, weights};

#[test]
fn a_run_in_mixed_precision_is_resumed_to_the_same_bits() {
    let whole = Workspace::new();
    whole.train(&["--amp"]).expect_code(0);
    let halves = Workspace::new();
    halves.train(&["--amp", "train_cfg.max_epochs=1"]).expect_code(0);
    halves.train(&["--amp", "--resume"]).expect_code(0);
    assert!(weights(&whole.file("work/epoch_3")) == weights(&halves.file("work/epoch_3")));
    assert_eq!(scalars(&whole.work()), scalars(&halves.work()));

    let full = Workspace::new();
    full.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    assert!(weights(&full.file("work/epoch_1")) != weights(&halves.file("work/epoch_1")));
}

#[test]
fn learning_rates_are_scaled_by_the_batch_size_where_that_is_asked_for() {
    let workspace = Workspace::with("auto_scale_lr = dict(enable=False, base_batch_size=8)");
    let outcome = workspace.train(&["--auto-scale-lr", "--dry-run"]);
    outcome.expect_code(0).expect_text(&["batch size of 8", "batch size is 2", "by 0.25"]);
    let without = Workspace::new().train(&["--auto-scale-lr"]);
    without.expect_code(1).expect_text(&["auto_scale_lr.base_batch_size", "add auto_scale_lr"]);
}

#[test]
fn half_precision_that_the_cpu_does_not_have_is_refused_by_name() {
    let workspace =
        Workspace::with("optim_wrapper.update(type='AmpOptimWrapper', dtype='float16')");
    let outcome = workspace.train(&[]);
    outcome.expect_code(1).expect_text(&["optim_wrapper.dtype: expected bfloat16 on the CPU"]);
}

#[test]
fn validation_and_test_predict_in_half_precision_where_the_config_says() {
    let val_loss = |fp16: &str| {
        let workspace = Workspace::with("val_cfg = dict(type='ValLoop', loss=True)");
        workspace.train(&["train_cfg.max_epochs=1", fp16]).expect_code(0);
        let records = scalars(&workspace.work());
        (workspace, records.last().unwrap()["val_loss"].as_f64().unwrap())
    };
    let (workspace, full) = val_loss("val_cfg.fp16=False");
    let (_, half) = val_loss("val_cfg.fp16=True");
    assert!(full != half && (full - half).abs() < 0.05 * full, "{full} {half}");

    let test = |out: &str, fp16: &str| {
        let fixed = ["test", "tiny.py", "work/epoch_1", "--out", out, "--cfg-options"];
        let options = ["model.test_cfg.score_thr=0.00001", fp16];
        workspace.snaphook([&fixed[..], &options].concat()).expect_code(0);
        std::fs::read_to_string(workspace.file(out)).unwrap()
    };
    let full = test("full.json", "test_cfg.fp16=False");
    assert!(full.contains("score") && full == test("again.json", "test_cfg.fp16=False"));
    assert!(full != test("half.json", "test_cfg.fp16=True"));
}

#[test]
fn the_flag_takes_the_keys_of_mixed_precision() {
    let workspace = Workspace::new();
    let short = ["--fast-dev-run", "--amp", "optim_wrapper.dtype=bfloat16"];
    workspace.train(&short).expect_code(0);
    let wrong = ["--fast-dev-run", "--amp", "optim_wrapper.dtypo=bfloat16"];
    workspace.train(&wrong).expect_code(1).expect_error(&["dtypo"]);
}
