//! Several validation sets, and losses on validation data.

use snaphook_tests::{Workspace, scalars};

#[test]
fn several_sets_are_scored_one_by_one_under_their_names() {
    let workspace = Workspace::with(
        "val_dataloader = [val_dataloader, dict(val_dataloader, name='again')]\n\
         val_evaluator = [val_evaluator, val_evaluator]\n\
         default_hooks['checkpoint']['save_best'] = 'again/coco/bbox_mAP'",
    );
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["Epoch(val) [1][4/4]", "0/coco/bbox_mAP: "]);
    let records = scalars(&workspace.work());
    let record = records.last().unwrap();
    assert_eq!(record["0/coco/bbox_mAP"], record["again/coco/bbox_mAP"]);
    assert!(record["0/coco/bbox_mAP"].is_number(), "{record}");
    assert!(workspace.file("work/best_again_coco_bbox_mAP_epoch_1").is_dir());
}

#[test]
fn validation_losses_are_metrics_with_their_sum() {
    let workspace = Workspace::with("val_cfg = dict(type='ValLoop', loss=True)");
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["val_loss: "]);
    let records = scalars(&workspace.work());
    let record = records.last().unwrap();
    let value = |key: &str| record[key].as_f64().unwrap_or_else(|| panic!("{key}: {record}"));
    let sum = value("loss_cls") + value("loss_bbox") + value("loss_obj");
    assert!((value("val_loss") - sum).abs() < 1e-6 * sum.abs(), "{record}");
}

#[test]
fn sets_without_a_metric_each_are_refused_with_the_place() {
    let workspace = Workspace::with("val_dataloader = [val_dataloader, val_dataloader]");
    let outcome = workspace.train(&[]);
    outcome.expect_code(1).expect_error(&["val_evaluator", "expected a list of 2"]);
}

#[test]
fn a_plateau_lowers_the_rate_by_what_validations_say_and_remembers_after_a_resume() {
    let lines = "param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='coco/bbox_mAP', rule='greater', \
                 factor=0.5, patience=1, threshold=2, threshold_rule='abs', end=9)]";
    let rates = |workspace: &Workspace| -> Vec<f64> {
        let records = scalars(&workspace.work());
        records.iter().filter_map(|record| record["lr"].as_f64()).collect()
    };
    let whole = Workspace::with(lines);
    whole.train(&["train_cfg.max_epochs=4"]).expect_code(0);
    let seen = rates(&whole);
    // The first validation is the best one; the second and the third are bad ones, one more than its patience.
    assert_eq!(seen.last(), Some(&(seen[0] * 0.5)), "{seen:?}");
    assert_eq!(seen[seen.len() / 2], seen[0], "{seen:?}");
    let halves = Workspace::with(lines);
    halves.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    halves.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=4"]).expect_code(0);
    assert_eq!(rates(&halves), seen);
}

#[test]
fn a_metric_that_nobody_measures_is_refused_before_the_first_epoch() {
    let best = |metric: &str| format!("default_hooks.checkpoint.save_best={metric}");
    let refuses = |workspace: &Workspace, option: &str, texts: &[&str]| {
        let refused = workspace.train(&[option]);
        refused.expect_code(1).expect_error(texts);
        assert!(!refused.text().contains("Epoch(train)"), "{refused}");
    };
    let workspace = Workspace::new();
    refuses(
        &workspace,
        &best("coco/bbox_map"),
        &["no metric \"coco/bbox_map\"", "coco/bbox_mAP_50"],
    );
    refuses(&workspace, &best("val_loss"), &["no metric \"val_loss\""]);
    workspace.train(&[&best("coco/bbox_mAP_50")]).expect_code(0);

    let with_losses = Workspace::with("val_cfg = dict(type='ValLoop', loss=True)");
    refuses(&with_losses, &best("coco/bbox_map"), &["no metric \"coco/bbox_map\"", "loss_obj, "]);
    refuses(&with_losses, &best("loss_object"), &["no metric \"loss_object\"", "val_loss"]);
    let options = [&best("val_loss"), "default_hooks.checkpoint.rule=less"];
    with_losses.train(&options).expect_code(0);

    let hook = "dict(type='EarlyStoppingHook', monitor='coco/mAP', rule='greater', strict=True)";
    let stopping = Workspace::with(&format!("custom_hooks = [{hook}]"));
    refuses(&stopping, "train_cfg.max_epochs=1", &["no metric \"coco/mAP\""]);

    let plateau = "dict(type='ReduceOnPlateauLR', monitor='bbox_mAP', rule='greater')";
    let plateau = Workspace::with(&format!("param_scheduler = [{plateau}]"));
    refuses(
        &plateau,
        "train_cfg.max_epochs=1",
        &["expected the metric `bbox_mAP`", "coco/bbox_mAP"],
    );
}

#[test]
fn a_logged_loss_of_validation_is_that_of_the_last_one() {
    let losses = |lines: &str| -> Vec<f64> {
        let workspace = Workspace::with(&format!("val_cfg = dict(loss=True)\n{lines}"));
        workspace.train(&[]).expect_code(0);
        let records = scalars(&workspace.work());
        records.iter().filter_map(|record| record["val_loss"].as_f64()).collect()
    };
    let found = losses("");
    assert_eq!(found.len(), 3);
    assert_eq!(found, losses("log_processor = dict(window_size=1)"));
}
