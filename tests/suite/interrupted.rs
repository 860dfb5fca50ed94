//! SIGTERM, SIGUSR1 and Ctrl-C: the run saves, says how to go on, and ends with the documented code.

use std::process::Command;
use std::time::{Duration, Instant};

use snaphook_launch::is_ignored;
use snaphook_tests::{Running, Workspace, fixture, is_whole, scalars, weights};

const LONG: &str = "\
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=6, val_interval=1)
train_dataloader['batch_size'] = 1
";

fn send(running: &Running, signal: &str) {
    let status = Command::new("kill").arg(signal).arg(running.id().to_string()).status().unwrap();
    assert!(status.success());
}

fn records(workspace: &Workspace) -> usize {
    if workspace.work().is_dir() { scalars(&workspace.work()).len() } else { 0 }
}

/// Starts a run, waits for so many records of scalars and sends a signal.
fn interrupt(workspace: &Workspace, after: usize, signal: &str) -> snaphook_tests::Outcome {
    let mut running = workspace.start_training(&["--resume"]);
    let goal = records(workspace) + after;
    assert!(running.wait_until(|| records(workspace) >= goal), "it ended before the signal");
    send_at_once(&running, signal);
    running.wait()
}

/// Holds the process while the signal is sent, so that it does not come to its end in between.
fn send_at_once(running: &Running, signal: &str) {
    for signal in ["-STOP", signal, "-CONT"] {
        send(running, signal);
    }
}

#[test]
fn a_run_interrupted_anywhere_goes_on_as_if_nothing_had_been() {
    let calm = Workspace::with(LONG);
    calm.train(&[]).expect_code(0);

    let workspace = Workspace::with(LONG);
    // Where these tests run without a terminal, its end may be ignored, and then runs ignore it too.
    let hangup = if is_ignored(1) { "-TERM" } else { "-HUP" };
    for (after, signal) in [(2, "-TERM"), (4, "-USR1"), (1, hangup)] {
        let outcome = interrupt(&workspace, after, signal);
        outcome.expect_code(75).expect_text(&["Interrupted by SIG", "--resume"]);
        let last = workspace.read("work/last_checkpoint");
        assert!(is_whole(last.as_ref()), "{last}");
    }
    let resumed = workspace.train(&["--resume"]);
    resumed.expect_code(0).expect_text(&["Resumed from"]);
    assert!(weights(&calm.file("work/epoch_6")) == weights(&workspace.file("work/epoch_6")));
    assert_eq!(scalars(&calm.work()), scalars(&workspace.work()));
    let left = std::fs::read_dir(workspace.work()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.starts_with("interrupted")).collect();
    assert_eq!(left, [] as [&str; 0], "the next regular checkpoint makes them superfluous");
}

#[test]
fn a_checkpoint_of_another_folder_is_left_alone_by_the_run_that_goes_on_from_it() {
    let workspace = Workspace::with(LONG);
    interrupt(&workspace, 1, "-TERM").expect_code(75);
    let theirs = workspace.read("work/last_checkpoint");
    let other = ["train", "tiny.py", "--work-dir", "other", "--resume", &theirs];
    workspace.snaphook(other).expect_code(0);
    assert!(workspace.file("other/epoch_6").is_dir());
    assert!(is_whole(theirs.as_ref()), "{theirs} was removed");
}

#[test]
fn an_interrupted_run_is_on_record_as_such() {
    let workspace = Workspace::with(LONG);
    interrupt(&workspace, 1, "-TERM").expect_code(75);
    let last = std::fs::read_dir(workspace.work()).unwrap();
    let records: Vec<String> = last
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("run.json")).ok())
        .collect();
    assert!(records[0].contains("\"interrupted\""), "{records:?}");
}

#[test]
fn a_test_that_is_stopped_ends_with_the_signals_code() {
    let workspace =
        Workspace::with("custom_hooks = [dict(type='StumbleHook', how='hold', file='go')]");
    workspace.add_plugin(&fixture("stumble"));
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let command = workspace.command(["test", "tiny.py", "work/epoch_1", "--work-dir", "work"]);
    let mut running = snaphook_tests::start(command);
    // Held after its first batch, of two.
    assert!(running.wait_until(|| workspace.file("go.held").is_file()), "it ended");
    send(&running, "-TERM");
    workspace.write("go", "");
    running.wait().expect_code(128 + 15);
}

#[test]
fn ctrl_c_saves_and_ends_with_the_shells_code() {
    let workspace = Workspace::with(LONG);
    let outcome = interrupt(&workspace, 1, "-INT");
    outcome.expect_code(130).expect_text(&["Interrupted by SIGINT"]);
    assert!(is_whole(workspace.read("work/last_checkpoint").as_ref()));
}

#[test]
fn a_signal_before_the_first_iteration_saves_nothing_and_asks_for_another_start() {
    let workspace = Workspace::with(LONG);
    let mut running = workspace.start_training(&[]);
    // The run's folder is there before training begins.
    assert!(running.wait_until(|| workspace.work().is_dir()));
    send_at_once(&running, "-TERM");
    let outcome = running.wait();
    outcome.expect_code(75);
    workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=1"]).expect_code(0);
}

/// The command has become the trainer, which is long before the trainer can do anything. Its first name may still be that of
/// this test.
fn wait_for_trainer(running: &Running) {
    let name = format!("/proc/{}/comm", running.id());
    let end = Instant::now() + Duration::from_secs(30);
    // The kernel keeps fifteen letters.
    let is_other =
        || std::fs::read_to_string(&name).is_ok_and(|name| name.trim() != "snaphook-traine");
    while is_other() {
        assert!(Instant::now() < end, "it never became the trainer");
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_while_the_program_is_loading_is_not_lost() {
    for signal in ["-TERM", "-USR1"] {
        let workspace = Workspace::with(LONG);
        let running = workspace.start_training(&[]);
        wait_for_trainer(&running);
        send(&running, signal);
        let outcome = running.wait();
        outcome.expect_code(75).expect_text(&["Interrupted by SIG"]);
    }
}

#[test]
fn a_dry_run_can_be_interrupted() {
    let workspace = Workspace::with(LONG);
    let running = workspace.start_training(&["--dry-run"]);
    wait_for_trainer(&running);
    send(&running, "-TERM");
    running.wait().expect_code(75);
}

#[test]
fn two_trainings_do_not_share_a_work_folder() {
    let workspace = Workspace::with(LONG);
    let mut first = workspace.start_training(&[]);
    assert!(first.wait_until(|| records(&workspace) > 0));
    send(&first, "-STOP");
    let second = workspace.train(&[]);
    send(&first, "-CONT");
    second.expect_code(1).expect_error(&["work_dir: another training is going on in"]);
    first.wait().expect_code(0);
    let third = workspace.train(&["train_cfg.max_epochs=1"]);
    third.expect_code(0).expect_text(&["has checkpoints of an earlier run"]);
}

#[test]
fn a_limited_run_says_how_to_go_on() {
    let workspace = Workspace::new();
    let limit = ["--limit-train-batches", "1"];
    let mut running =
        workspace.start_training(&[&limit[..], &["train_cfg.max_epochs=2000"]].concat());
    assert!(running.wait_until(|| records(&workspace) >= 1), "it ended before the signal");
    send_at_once(&running, "-TERM");
    let outcome = running.wait();
    outcome.expect_code(75);
    let text = outcome.text();
    let way = text.split("(go on with --resume ").nth(1).unwrap();
    let path = way.split(')').next().unwrap();
    assert!(is_whole(std::path::Path::new(&workspace.file(path))), "{path}");
    let short = ["--resume", path, "--cfg-options", "train_cfg.max_epochs=1"];
    workspace.train(&[&limit[..], &short].concat()).expect_code(0).expect_text(&["Resumed"]);
}
