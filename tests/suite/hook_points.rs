//! The hook points of a run, in order, with the counters that hooks see. They are part of the contract.

use snaphook_tests::{Workspace, trace};

/// One `point epoch iter [batch_idx]` a line: three epochs of two batches, each followed by a checkpoint
/// and a validation of two batches.
///
/// Source: MMEngine 0.10.7 `mmengine/runner/{runner,loops}.py`; the points of the optimizer step and
/// `after_save_checkpoint` are ours.
const TRAINING: &str = include_str!("../fixtures/expected/train_three_epochs.txt");

/// A test of two batches, with weights loaded: nothing was trained, so that all counters are 0.
const TEST: &str = include_str!("../fixtures/expected/test.txt");

const TRACE: &str = "custom_hooks = [dict(type='TraceHook', out='trace.jsonl', priority='NORMAL')]";

fn expect_trace(workspace: &Workspace, expected: &str) {
    let found = trace(&workspace.file("trace.jsonl"));
    let expected: Vec<&str> = expected.lines().collect();
    let place = expected.iter().zip(&found).position(|(expected, found)| expected != found);
    assert_eq!(found, expected, "the first difference is in line {:?}", place.map(|at| at + 1));
}

#[test]
fn points_and_counters_of_training_and_test_are_mmengines() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&[]).expect_code(0);
    expect_trace(&workspace, TRAINING);
    workspace.snaphook(["test", "tiny.py", "work/epoch_3", "--work-dir", "work"]).expect_code(0);
    expect_trace(&workspace, TEST);
}

#[test]
fn a_resumed_run_loads_after_before_run_and_goes_on_with_its_counters() {
    let workspace = Workspace::with(TRACE);
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    workspace.train(&["--resume"]).expect_code(0);
    let start = ["before_run 0 0", "after_load_checkpoint 0 0", "before_train 2 4"];
    let third = TRAINING.lines().skip_while(|line| *line != "before_train_epoch 2 4");
    let expected: Vec<&str> = start.into_iter().chain(third).collect();
    expect_trace(&workspace, &expected.join("\n"));
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
