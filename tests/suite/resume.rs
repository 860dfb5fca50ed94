//! A run that was interrupted and resumed ends as if nothing had been.

use snaphook_data::shapes::ShapesOptions;
use snaphook_tests::{Workspace, checkpoints, scalars, weights};

#[test]
fn resumed_run_equals_uninterrupted_run() {
    let whole = Workspace::new();
    whole.train(&["train_cfg.max_epochs=4"]).expect_code(0);

    let halves = Workspace::new();
    halves.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    let resumed = halves.train(&["train_cfg.max_epochs=4", "--resume"]);
    resumed.expect_code(0).expect_text(&["epoch_2 (epoch 2, iteration 4)"]);

    assert!(weights(&whole.file("work/epoch_4")) == weights(&halves.file("work/epoch_4")));
    assert_eq!(scalars(&whole.work()), scalars(&halves.work()));
}

#[test]
fn the_number_of_loader_threads_changes_nothing_even_in_a_resumed_run() {
    let alone = Workspace::new();
    alone.train(&["train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]).expect_code(0);

    let many = Workspace::new();
    let threads = |number: u32| format!("train_dataloader.num_workers={number}");
    many.train(&["train_cfg.max_epochs=1", &threads(3)]).expect_code(0);
    many.train(&["--resume", "--cfg-options", &threads(2)]).expect_code(0);

    assert!(weights(&alone.file("work/epoch_3")) == weights(&many.file("work/epoch_3")));
    assert_eq!(scalars(&alone.work()), scalars(&many.work()));
}

#[test]
fn averaged_weights_and_optimizers_with_momentum_are_resumed_too() {
    let settings = "\
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True))
custom_hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.1, gamma=5, update_buffers=True, priority=49)]
";
    let whole = Workspace::with(settings);
    whole.train(&[]).expect_code(0);
    let halves = Workspace::with(settings);
    halves.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    halves.train(&["--resume"]).expect_code(0);
    for name in ["model.safetensors", "ema.safetensors", "optimizer.safetensors"] {
        let read =
            |workspace: &Workspace| std::fs::read(workspace.work().join("epoch_3").join(name));
        assert!(read(&whole).unwrap() == read(&halves).unwrap(), "{name} differs");
    }
    assert_eq!(scalars(&whole.work()), scalars(&halves.work()));
}

#[test]
fn a_run_resumed_between_two_steps_of_the_optimizer_keeps_its_gradients() {
    let settings = "\
optim_wrapper['accumulative_counts'] = 4
train_dataloader['batch_size'] = 1
default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=1, by_epoch=False)
";
    let whole = Workspace::with(settings);
    whole.train(&[]).expect_code(0);
    let halves = Workspace::with(settings);
    halves.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    for unwanted in ["iter_7", "iter_8"] {
        std::fs::remove_dir_all(halves.work().join(unwanted)).unwrap();
    }
    assert!(halves.file("work/iter_6/gradients.safetensors").is_file());
    halves.train(&["--resume", "work/iter_6"]).expect_code(0);
    assert!(weights(&whole.file("work/iter_12")) == weights(&halves.file("work/iter_12")));
}

#[test]
fn a_resume_without_a_checkpoint_says_so_and_starts_from_the_beginning() {
    let workspace = Workspace::new();
    let outcome = workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["--resume: there is no checkpoint in"]);
    assert!(workspace.file("work/epoch_1").is_dir());
}

#[test]
fn old_checkpoints_are_forgotten_across_a_resume() {
    let workspace = Workspace::with("default_hooks['checkpoint']['max_keep_ckpts'] = 1");
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    assert_eq!(checkpoints(&workspace.work()), [workspace.file("work/epoch_2")]);
    workspace.train(&["--resume"]).expect_code(0);
    assert_eq!(checkpoints(&workspace.work()), [workspace.file("work/epoch_3")]);
}

/// Learning rates by iteration.
fn rates(workspace: &Workspace) -> Vec<(u64, f64)> {
    let records = scalars(&workspace.work());
    let rate =
        |record: &serde_json::Value| Some((record["iter"].as_u64()?, record["lr"].as_f64()?));
    records.iter().filter_map(rate).collect()
}

const WARM_UP: &str = "param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20)]\n";

#[test]
fn rates_are_right_after_a_resume_without_saved_schedules_or_with_other_batches() {
    let whole = Workspace::with(WARM_UP);
    whole.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    let expected = rates(&whole);

    let unsaved = Workspace::with(WARM_UP);
    let without = "default_hooks.checkpoint.save_param_scheduler=False";
    unsaved.train(&["train_cfg.max_epochs=1", without]).expect_code(0);
    let resumed = unsaved.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=2"]);
    resumed.expect_code(0).expect_text(&["The checkpoint has no schedules"]);
    assert_eq!(rates(&unsaved), expected);

    // Half as many batches: the second epoch begins at half the iterations.
    let other = Workspace::with(WARM_UP);
    other.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let larger = ["train_cfg.max_epochs=2", "train_dataloader.batch_size=4"];
    let resumed = other.train(&[&["--resume", "--cfg-options"][..], &larger].concat());
    resumed
        .expect_code(0)
        .expect_text(&["with 2 samples a step, this run has 4: iteration", "at the same place"]);
    let begun: Vec<_> = rates(&other).split_off(expected.len() / 2);
    assert!(!begun.is_empty() && begun.iter().all(|rate| expected.contains(rate)), "{begun:?}");
}

#[test]
fn a_training_by_iterations_keeps_its_place_when_the_data_changes() {
    let by_iterations = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=8, val_interval=100)\n\
                         default_hooks['checkpoint'].update(by_epoch=False, interval=4)\n";
    let workspace = Workspace::with(by_iterations);
    workspace.train(&["train_cfg.max_iters=4"]).expect_code(0);
    let other = ["--resume", "--cfg-options", "train_dataloader.batch_size=1"];
    let resumed = workspace.train(&other);
    resumed.expect_code(0).expect_text(&["iteration 4 stays", "(epoch 0, iteration 4)"]);
    let iterations: Vec<u64> = rates(&workspace).into_iter().map(|(iter, _)| iter).collect();
    assert_eq!(iterations, (1..=8).collect::<Vec<u64>>());
}

#[test]
fn other_pictures_of_the_same_number_are_told_on_a_resume() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    std::fs::rename(workspace.file("data"), workspace.file("moved")).unwrap();
    let config = workspace.read("tiny.py").replace("data_root = 'data/'", "data_root = 'moved/'");
    workspace.write("tiny.py", config);
    let told = "on other pictures or other annotations";
    let resumed = workspace.train(&["train_cfg.max_epochs=2", "--resume"]);
    resumed.expect_code(0).expect_text(&["epoch_1 (epoch 1"]);
    assert!(!resumed.text().contains(told), "{resumed}");

    let other = ShapesOptions { train: 4, val: 4, size: 64, seed: 8 };
    other.draw_into(&workspace.file("moved")).unwrap();
    let resumed = workspace.train(&["train_cfg.max_epochs=3", "--resume"]);
    resumed.expect_code(0).expect_text(&[told]);
}

#[test]
fn a_resume_without_a_checkpoint_starts_from_the_weights_that_the_config_names() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let first_loss = |flags: &[&str], work: &str| {
        let start = ["train", "tiny.py", "--work-dir", work, "train_cfg.max_epochs=1"];
        let outcome =
            workspace.snaphook(start.iter().chain(&["load_from=work/epoch_1"]).chain(flags));
        outcome.expect_code(0);
        if !flags.is_empty() {
            outcome.expect_text(&["training starts from load_from=work/epoch_1"]);
        }
        scalars(&workspace.file(work))[0]["loss"].clone()
    };
    assert_eq!(first_loss(&["--resume"], "again"), first_loss(&[], "fresh"));
}

#[test]
fn what_was_edited_holds_and_is_told() {
    let sgd = "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001, momentum=0))\n";
    let workspace = Workspace::with(&format!("{WARM_UP}{sgd}"));
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let edits = [
        "train_cfg.max_epochs=2",
        "optim_wrapper.paramwise_cfg.bias_lr_mult=2",
        "optim_wrapper.accumulative_counts=2",
        "optim_wrapper.clip_grad.max_norm=35",
        "optim_wrapper.optimizer.momentum=0.9",
    ];
    let resumed = workspace.train(&[&["--resume", "--cfg-options"][..], &edits].concat());
    resumed.expect_code(0).expect_text(&[
        "parameter groups",
        "optim_wrapper.accumulative_counts was not given, is now 2",
        "optim_wrapper.clip_grad was not given, is now",
        "momentum_buffer was not kept, and begins from nothing",
    ]);
}

#[test]
fn a_schedule_that_was_taken_out_drives_nothing_any_more() {
    let workspace = Workspace::with(WARM_UP);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let options = ["--resume", "--cfg-options", "train_cfg.max_epochs=2", "param_scheduler=[]"];
    workspace.train(&options).expect_code(0).expect_text(&["0 are configured"]);
    let plain = Workspace::with("param_scheduler = []");
    plain.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    assert_eq!(rates(&workspace).last().unwrap().1, rates(&plain)[0].1);
}

#[test]
fn the_furthest_checkpoint_is_found_where_nobody_wrote_which_was_the_last() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    std::fs::remove_file(workspace.work().join("last_checkpoint")).unwrap();
    let again = workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=3"]);
    again.expect_code(0).expect_text(&["Epoch(train) [3]["]);
    assert!(!again.text().contains("Epoch(train) [1]["), "{again}");
}
