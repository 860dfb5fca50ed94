//! The hook points of a run, in order, with the counters that hooks see, against traces of MMEngine's own runs.
//!
//! The traces were made by `fixtures/mmengine/make.py`, one `point epoch iter [batch_idx]` a line. Points of ours, which
//! MMEngine does not have, are left out of the comparison and have a test of their own.

use snaphook_tests::{Workspace, trace};

const TRACE: &str = "custom_hooks = [dict(type='TraceHook', out='trace.jsonl', priority='NORMAL')]";
const BY_ITERATION: &str = "\
train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=2, by_epoch=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=7, val_interval=3)
";
const OUR_POINTS: [&str; 5] = [
    "after_backward",
    "before_optim_step",
    "after_optim_step",
    "after_save_checkpoint",
    "on_exception",
];

fn name(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

fn expect_trace(workspace: &Workspace, expected: &str) {
    let mut found = trace(&workspace.file("trace.jsonl"));
    found.retain(|line| !OUR_POINTS.contains(&name(line)));
    let expected: Vec<&str> = expected.lines().collect();
    let place = expected.iter().zip(&found).position(|(expected, found)| expected != found);
    assert_eq!(found, expected, "the first difference is in line {:?}", place.map(|at| at + 1));
}

#[test]
fn epochs_and_a_test_go_through_mmengines_points() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&[]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/epochs.txt"));
    workspace.snaphook(["test", "tiny.py", "work/epoch_3", "--work-dir", "work"]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/test.txt"));
}

#[test]
fn iterations_go_through_mmengines_points_and_a_resume_goes_on_with_them() {
    let workspace = Workspace::with(&format!("{TRACE}\n{BY_ITERATION}"));
    workspace.train(&[]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/iterations.txt"));

    let halves = Workspace::with(&format!("{TRACE}\n{BY_ITERATION}"));
    halves.train(&["train_cfg.max_iters=4"]).expect_code(0);
    halves.train(&["--resume"]).expect_code(0);
    expect_trace(&halves, include_str!("../fixtures/mmengine/resume_iterations.txt"));
}

#[test]
fn validations_begin_and_change_their_interval_as_mmengines_do() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&["train_cfg.val_begin=2"]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/val_begin.txt"));

    let settings =
        "train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=3, dynamic_intervals=[(4, 1)])";
    let workspace = Workspace::with(&format!("{TRACE}\n{settings}"));
    workspace.train(&[]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/dynamic_intervals.txt"));
}

#[test]
fn a_resumed_run_loads_after_before_run_and_goes_on_with_its_counters() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    workspace.train(&["--resume"]).expect_code(0);
    expect_trace(&workspace, include_str!("../fixtures/mmengine/resume.txt"));
}

#[test]
fn our_own_points_stand_around_the_optimizers_step_and_after_a_save() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let found = trace(&workspace.file("trace.jsonl"));
    let step: Vec<&str> = found
        .iter()
        .map(|line| name(line))
        .skip_while(|name| *name != "before_train_iter")
        .take_while(|name| *name != "after_train_epoch")
        .take(5)
        .collect();
    let expected = [
        "before_train_iter",
        "after_backward",
        "before_optim_step",
        "after_optim_step",
        "after_train_iter",
    ];
    assert_eq!(step, expected);
    // When the disk is done is not the run's to say, but it is before the run ends.
    let at = |wanted: &str| found.iter().position(|line| name(line) == wanted).unwrap();
    assert!(at("before_save_checkpoint") < at("after_save_checkpoint"), "{found:?}");
    assert!(at("after_save_checkpoint") < at("after_train"), "{found:?}");
}

#[test]
fn a_run_that_fails_ends_with_on_exception_and_not_with_after_run() {
    let workspace = Workspace::with(TRACE);
    workspace.write("data/train/00000.jpg", "no picture");
    workspace.train(&[]).expect_code(1);
    let found = trace(&workspace.file("trace.jsonl"));
    // Which batch meets the broken picture first is the shuffle's matter.
    let last = found.last().unwrap();
    assert!(last.starts_with("on_exception 0 "), "{found:?}");
}
