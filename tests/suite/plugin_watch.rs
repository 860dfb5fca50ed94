//! What plugins ask for is done, what they log is heard, a plugin that crashes is named, and what was loaded is written down.

use serde_json::Value as Json;
use snaphook_tests::{Workspace, checkpoints, fixture};

fn stumbling(how: &str) -> Workspace {
    let hook = format!("custom_hooks = [dict(type='StumbleHook', how='{how}')]");
    let workspace = Workspace::with(&hook);
    workspace.add_plugin(&fixture("stumble"));
    workspace
}

#[test]
fn records_of_a_plugin_and_its_threads_are_logged_once_under_its_name() {
    let outcome = stumbling("log").train(&[]);
    outcome.expect_code(0);
    for line in
        ["INFO - stumble: a record of iteration 3", "WARNING - stumble: a thread at iteration 3"]
    {
        assert_eq!(outcome.stdout.matches(line).count(), 1, "{line}\n{outcome}");
    }
}

#[test]
fn a_crash_in_a_plugin_is_named_at_once_and_at_the_next_start() {
    let workspace = stumbling("segfault");
    let words = ["SIGSEGV in plugin stumble 0.1.0", "StumbleHook at after_train_iter, iteration 3"];
    workspace.train(&[]).expect_code(139).expect_error(&words);
    let next = workspace.train(&["custom_hooks.0.how=log", "--resume"]);
    next.expect_code(0).expect_text(&["An earlier run here ended in a plugin", words[1]]);
    let last = workspace.train(&["custom_hooks.0.how=log"]);
    assert!(!last.expect_code(0).text().contains("An earlier run here"), "{last}");
}

#[test]
fn a_crash_while_a_plugin_is_loaded_is_named_and_noted_where_the_work_folder_is_there() {
    let workspace = Workspace::with("custom_hooks = [dict(type='QuietHook')]");
    workspace.add_plugin(&fixture("constructor"));
    let crash = || {
        let mut command = workspace.command(["train", "tiny.py", "--work-dir", "work"]);
        command.env("SNAPHOOK_TEST_LOADING", "segfault");
        let words = ["SIGSEGV in plugin constructor", "the plugin at load, iteration 0"];
        snaphook_tests::start(command).wait().expect_code(139).expect_error(&words);
    };
    crash();
    assert!(!workspace.work().exists());
    std::fs::create_dir(workspace.work()).unwrap();
    crash();
    let next = workspace.train(&["train_cfg.max_epochs=1"]);
    next.expect_code(0).expect_text(&["An earlier run here ended in a plugin", "at load"]);
}

#[test]
fn a_plugin_that_ends_the_process_makes_no_success_of_an_unfinished_run() {
    let workspace = stumbling("exit");
    let words = "exit called in plugin stumble 0.1.0";
    let place = "StumbleHook at after_train_iter, iteration 3";
    workspace.train(&[]).expect_code(3).expect_error(&[words, place]);
    let next = workspace.train(&["custom_hooks.0.how=log", "--resume"]);
    next.expect_code(0).expect_text(&["An earlier run here ended in a plugin", words]);
}

#[test]
fn a_resume_says_that_a_plugin_was_replaced() {
    let workspace = stumbling("log");
    let library = workspace.add_plugin(&fixture("stumble"));
    let first = workspace.train(&["train_cfg.max_epochs=1"]);
    first.expect_code(0);
    let run_folder =
        std::fs::read_dir(workspace.work()).unwrap().flatten().map(|entry| entry.path());
    let record = run_folder.map(|folder| folder.join("plugins.json")).find(|file| file.is_file());
    let record: Json = serde_json::from_slice(&std::fs::read(record.unwrap()).unwrap()).unwrap();
    assert_eq!(record[0]["name"], "stumble");
    let hash = record[0]["sha256"].as_str().unwrap();
    assert_eq!(hash.len(), 64);
    let then = format!("version 0.1.0 (SHA-256 {}) then, version 0.1.0 (SHA-256 ", &hash[..12]);

    let mut other = std::fs::read(&library).unwrap();
    other.push(0);
    std::fs::remove_file(&library).unwrap();
    std::fs::write(&library, other).unwrap();
    let resumed = workspace.train(&["train_cfg.max_epochs=2", "--resume"]);
    resumed
        .expect_code(0)
        .expect_text(&["Plugin stumble is another one than when the checkpoint was saved", &then]);
}

#[test]
fn a_stop_in_mid_epoch_leaves_no_checkpoint_of_an_epoch_that_was_not_finished() {
    let workspace = stumbling("stop");
    // Epochs have two batches: iteration 2 is the first one of the second epoch.
    let stopped = workspace.train(&["custom_hooks.0.at_iter=2"]);
    stopped.expect_code(0).expect_text(&["Training stops: asked to"]);
    let names = |workspace: &Workspace| {
        let paths = checkpoints(&workspace.work()).into_iter();
        paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&workspace), ["epoch_1"]);
    workspace.train(&["custom_hooks.0.at_iter=100", "--resume"]).expect_code(0);
    assert!(names(&workspace).contains(&"epoch_3".to_owned()), "{:?}", names(&workspace));
}

#[test]
fn hooks_after_a_best_checkpoint_still_see_the_metrics() {
    let workspace = stumbling("log");
    let outcome = workspace.train(&[
        "custom_hooks.0.priority=LOWEST",
        "custom_hooks.0.at_iter=100",
        "default_hooks.checkpoint.save_best=coco/bbox_mAP",
    ]);
    outcome.expect_code(0).expect_text(&["StumbleHook sees 6 metrics", "The best checkpoint with"]);
    assert!(!outcome.text().contains("StumbleHook sees 0 metrics"), "{outcome}");
}

#[test]
fn a_hook_that_hangs_beyond_its_deadline_is_named_and_ends_the_run() {
    let workspace = stumbling("hang");
    let limits = ["custom_hooks.0.deadline_s=0.3", "custom_hooks.0.on_deadline=stop"];
    let hung = workspace.train(&limits);
    hung.expect_code(3).expect_error(&[
        "error: plugin stumble 0.1.0: StumbleHook has been in after_train_iter for",
        "its deadline is 0.3 s (iteration 4,",
        "it does not come back, so the run ends",
    ]);
    // The last good checkpoint is whole, and the next start says what happened.
    let next = workspace.train(&["custom_hooks.0.how=log", "--resume"]);
    next.expect_code(0).expect_text(&[
        "epoch_1 (epoch 1, iteration 2)",
        "An earlier run here ended in a plugin: error: plugin stumble 0.1.0: StumbleHook has been in",
    ]);
}

#[test]
fn a_hook_that_is_late_is_named_while_it_is_and_the_run_goes_on() {
    let workspace = stumbling("wait");
    let work = format!("custom_hooks.0.file='{}'", workspace.work().display());
    let late = workspace.train(&[&work, "custom_hooks.0.deadline_s=0.2"]);
    let words = "WARNING - plugin stumble 0.1.0: StumbleHook has been in after_train_iter for";
    late.expect_code(0).expect_text(&[words, "its deadline is 0.2 s"]);
}

#[test]
fn a_late_hook_that_comes_back_ends_the_run_in_good_order() {
    let workspace = stumbling("slow");
    let limits = ["custom_hooks.0.deadline_s=0.001", "custom_hooks.0.on_deadline=stop"];
    // It may take so long that the watchdog ends the run first, on a machine that is busy.
    let late = workspace.train(&limits);
    late.expect_code(3).expect_error(&["its deadline is 0.001 s"]);
    let wrong = workspace.train(&["custom_hooks.0.deadline_s=-1"]);
    wrong.expect_code(1).expect_error(&["custom_hooks.0.deadline_s: expected a number of seconds"]);
}

#[test]
fn a_plugin_that_is_replaced_during_a_run_is_reported_and_does_not_disturb_it() {
    let workspace = stumbling("replace");
    let library = workspace.file("plugins/libstumble.so");
    let file = format!("custom_hooks.0.file='{}'", library.display());
    let outcome = workspace.train(&[&file]);
    let words =
        format!("{} changed on disk: this run goes on with the old code", library.display());
    outcome.expect_code(0).expect_text(&[&words]);
    assert_eq!(outcome.stdout.matches(&words).count(), 1, "{outcome}");
}

#[test]
fn a_file_that_is_overwritten_in_place_does_not_disturb_a_run_of_copies() {
    let workspace = stumbling("overwrite");
    let library = workspace.file("plugins/libstumble.so");
    let file = format!("custom_hooks.0.file='{}'", library.display());
    let mut command = workspace.command(["train", "tiny.py", "--work-dir", "work", file.as_str()]);
    command.env("SNAPHOOK_COPY_PLUGINS", "1");
    let outcome = snaphook_tests::start(command).wait();
    outcome.expect_code(0).expect_text(&["changed on disk"]);
    assert_eq!(
        std::fs::read_dir(workspace.file(".cache/snaphook/plugin-copies")).unwrap().count(),
        0
    );
}

#[test]
fn what_hooks_cost_is_told_per_hook_and_point_when_the_run_ends() {
    let outcome = stumbling("slow").train(&["custom_hooks.0.at_iter=0"]);
    outcome.expect_code(0).expect_text(&["Hooks took ", " % (after_train_iter: "]);
    assert!(outcome.stdout.contains("StumbleHook "), "{outcome}");
}
