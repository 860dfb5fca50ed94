//! Hooks that are asked for wrongly, and hooks that fail while training.

use snaphook_tests::{Outcome, Workspace, checkpoints, fixture, is_whole};

/// A run that must end before it trains.
#[track_caller]
fn refused(workspace: &Workspace) -> Outcome {
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    assert!(outcome.error().contains("tiny.py"), "the message does not name the config\n{outcome}");
    assert!(!workspace.work().exists(), "something was written\n{outcome}");
    outcome
}

/// Wrong arguments of `MarkHook`.
#[track_caller]
fn refused_mark(kwargs: &str) -> Outcome {
    let workspace = Workspace::with(&format!("custom_hooks = [dict(type='MarkHook', {kwargs})]"));
    workspace.add_plugin(&fixture("mark-2024"));
    refused(&workspace)
}

#[test]
fn an_unknown_argument_is_refused_with_the_nearest_name() {
    refused_mark("out='m', txt='x'").expect_error(&["MarkHook.txt", "did you mean 'text'?"]);
}

#[test]
fn an_argument_of_the_wrong_type_is_refused() {
    let expected = ["MarkHook.times", "expected an integer from 1 to 5", "found \"often\""];
    refused_mark("out='m', times='often'").expect_error(&expected);
}

#[test]
fn an_argument_out_of_range_is_refused() {
    let expected = ["MarkHook.times", "expected an integer from 1 to 5", "found 6"];
    refused_mark("out='m', times=6").expect_error(&expected);
}

#[test]
fn a_missing_argument_is_named() {
    refused_mark("text='x'").expect_error(&["MarkHook.out", "found nothing"]);
}

#[test]
fn all_wrong_arguments_are_told_at_once() {
    refused_mark("txt='x', times=0").expect_error(&[
        "MarkHook.txt",
        "MarkHook.times",
        "MarkHook.out",
    ]);
}

#[test]
fn an_unknown_type_names_the_folders_searched_and_the_nearest_name() {
    let workspace = Workspace::with("custom_hooks = [dict(type='MarkHok', out='m')]");
    workspace.add_plugin(&fixture("mark-2024"));
    let folder = workspace.file("plugins");
    let outcome = refused(&workspace);
    outcome.expect_error(&["MarkHok", "MarkHook", folder.to_str().unwrap()]);
}

#[test]
fn a_type_of_two_plugins_shows_both_and_the_qualified_spelling_works() {
    let workspace = Workspace::with("custom_hooks = [dict(type='MarkHook', out='m')]");
    let paths = ["mark-2021", "mark-2024"].map(|name| workspace.add_plugin(&fixture(name)));
    let [first, second] = paths.map(|path| path.to_str().unwrap().to_owned());
    refused(&workspace).expect_error(&[&first, &second, "mark-2021:MarkHook"]);

    workspace.train(&["custom_hooks.0.type=mark-2021:MarkHook"]).expect_code(0);
    assert_eq!(workspace.read("m"), "mark 0 1\nmark 1 2\nmark 2 3\n");
}

/// A run with `StumbleHook`, which fails in iteration 3, the second of the second epoch.
fn stumble(kwargs: &str) -> Workspace {
    let workspace = Workspace::with(&format!("custom_hooks = [dict(type='StumbleHook'{kwargs})]"));
    workspace.add_plugin(&fixture("stumble"));
    workspace
}

/// The first checkpoint is whole, and the run can go on from where it failed.
#[track_caller]
fn expect_whole_and_resumable(workspace: &Workspace) {
    let found = checkpoints(&workspace.work());
    assert_eq!(found, [workspace.file("work/epoch_1")]);
    assert!(is_whole(&found[0]));
    let resumed = workspace.train(&["--resume", "--cfg-options", "custom_hooks=[]"]);
    resumed.expect_code(0).expect_text(&["emergency_iter_4 (epoch 1, iteration 4)"]);
    let found = checkpoints(&workspace.work());
    assert!(found.len() == 3 && found.iter().all(|path| is_whole(path)), "{found:?}");
}

#[test]
fn an_error_of_a_hook_ends_the_run_and_the_last_checkpoint_is_whole() {
    let workspace = stumble("");
    let outcome = workspace.train(&[]);
    outcome.expect_code(3);
    let error = outcome.error();
    for part in ["StumbleHook", "stumble", "after_train_iter", "tripped at iteration 3"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    expect_whole_and_resumable(&workspace);
}

#[test]
fn a_panic_of_a_hook_ends_the_run_with_its_place_and_the_last_checkpoint_is_whole() {
    let workspace = stumble(", how='panic'");
    let outcome = workspace.train(&[]);
    outcome.expect_code(3);
    let error = outcome.error();
    for part in ["StumbleHook", "after_train_iter", "stumbled over iteration 3", "lib.rs"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    expect_whole_and_resumable(&workspace);
}

/// How often the hook was called.
fn calls(outcome: &Outcome) -> usize {
    outcome.text().matches("StumbleHook is called at iteration").count()
}

#[test]
fn a_hook_that_may_fail_is_called_again_and_the_run_goes_on() {
    let workspace = stumble(", on_error='warn'");
    let outcome = workspace.train(&[]);
    outcome.expect_code(0).expect_text(&["tripped at iteration 3", "tripped at iteration 5"]);
    assert_eq!(calls(&outcome), 6, "{outcome}");
}

#[test]
fn a_fatal_error_ends_the_run_whatever_the_policy_says() {
    for policy in ["warn", "disable"] {
        let workspace = stumble(&format!(", how='fatal', on_error='{policy}'"));
        let outcome = workspace.train(&[]);
        outcome.expect_code(3);
        assert!(outcome.error().contains("tripped at iteration 3"), "{outcome}");
    }
}

#[test]
fn a_hook_that_is_to_be_disabled_is_not_called_again() {
    for kwargs in [", on_error='disable'", ", how='panic', on_error='warn'"] {
        let workspace = stumble(kwargs);
        let outcome = workspace.train(&[]);
        outcome.expect_code(0).expect_text(&["not called any more"]);
        assert_eq!(calls(&outcome), 4, "{outcome}");
    }
}
