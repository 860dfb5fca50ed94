//! What is left of a run that fails: the last good checkpoint, and one of the moment where the state is sound.

use snaphook_tests::{Workspace, checkpoints, fixture, is_whole, weights};

fn names(workspace: &Workspace, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(workspace.work()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn a_run_that_a_hook_stops_is_saved_and_resumed_where_it_stopped() {
    let calm = Workspace::new();
    calm.train(&[]).expect_code(0);

    let workspace = Workspace::new();
    workspace.add_plugin(&fixture("stumble"));
    let hook = "custom_hooks+=dict(type='StumbleHook', at_iter=2)";
    workspace.train(&[hook]).expect_code(3).expect_text(&["Saved to", "emergency_iter_3"]);
    assert_eq!(checkpoints(&workspace.work()), [workspace.file("work/epoch_1")]);
    assert!(is_whole(&workspace.file("work/epoch_1")));
    assert!(is_whole(&workspace.file("work/emergency_iter_3")));

    let resumed = workspace.train(&["--resume"]);
    resumed.expect_code(0).expect_text(&["emergency_iter_3 (epoch 1, iteration 3)"]);
    assert!(weights(&calm.file("work/epoch_3")) == weights(&workspace.file("work/epoch_3")));
    assert_eq!(names(&workspace, "emergency"), [] as [&str; 0]);
}

#[test]
fn a_hook_that_cannot_tell_its_state_is_judged_by_its_policy() {
    let workspace = Workspace::new();
    workspace.add_plugin(&fixture("stumble"));
    let hook = |rest: &str| format!("custom_hooks+=dict(type='StumbleHook', how='state'{rest})");
    let outcome = workspace.train(&[&hook("")]);
    outcome.expect_code(3).expect_error(&["StumbleHook", "stumbled over its own state"]);
    // What the others say is worth keeping.
    assert!(is_whole(&workspace.file("work/emergency_iter_2")), "{outcome}");

    let outcome = workspace.train(&[&hook(", on_error='disable'")]);
    outcome.expect_code(0).expect_text(&["stumbled over its own state", "not called any more"]);
    assert!(is_whole(&workspace.file("work/epoch_3")));
}

#[test]
fn a_hook_that_fails_at_a_save_is_told_with_the_iteration_that_ran_last() {
    let workspace = Workspace::new();
    workspace.add_plugin(&fixture("stumble"));
    let hook = "custom_hooks+=dict(type='StumbleHook', how='save')";
    let outcome = workspace.train(&[hook]);
    let place =
        "StumbleHook (plugin stumble 0.1.0) at before_save_checkpoint (epoch 1, iteration 2)";
    outcome.expect_code(3).expect_error(&[place, "tripped over a checkpoint"]);
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='CheckInvalidLossHook', interval=1)]\n\
         optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e30))\n\
         param_scheduler = []",
    );
    let outcome = workspace.train(&[]);
    outcome.expect_code(3);
    assert_eq!(names(&workspace, "emergency"), [] as [&str; 0], "{outcome}");
}

#[test]
fn a_run_that_stops_in_mid_iteration_keeps_the_last_good_checkpoint_only() {
    let workspace = Workspace::new();
    workspace.add_plugin(&fixture("stumble"));
    let hook = "custom_hooks+=dict(type='StumbleHook', at_iter=2, how='backward')";
    workspace.train(&[hook]).expect_code(3);
    assert_eq!(names(&workspace, "emergency"), [] as [&str; 0]);
    assert!(is_whole(&workspace.file("work/epoch_1")));
}

#[test]
fn a_model_whose_parts_do_not_fit_ends_its_run_in_good_order() {
    let workspace = Workspace::with("model['bbox_head']['in_channels'] = 16");
    workspace.add_plugin(&fixture("stumble"));
    let outcome = workspace.train(&[]);
    outcome.expect_code(3).expect_error(&[
        "training, epoch 1, iteration 1: libtorch: Given groups=1",
        "to have 16 channels",
    ]);
    assert!(!outcome.text().contains("panicked"), "{outcome}");
    outcome.expect_text(&["The report is in"]);
    let runs = workspace.snaphook(["runs", "list", "work", "--format", "json"]);
    runs.expect_code(0).expect_text(&["\"failed\"", "to have 16 channels"]);
    workspace.train(&["--dry-run"]).expect_code(3).expect_error(&["libtorch: Given groups=1"]);
}
