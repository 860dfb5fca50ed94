//! `snaphook launch` with runs of the trainer: logs, hangs, kills, restarts, signals. Jobs of plain programs, and of several
//! machines, are tested in `host/launch`.

use std::path::PathBuf;
use std::process::Command;

use snaphook_tests::{Outcome, Running, Workspace, fixture, start, weights};

/// Starts `snaphook launch FLAGS -- train tiny.py --work-dir work …`.
pub(crate) fn launch(workspace: &Workspace, flags: &str, arguments: &[&str]) -> Running {
    let fixed = ["--", "train", "tiny.py", "--work-dir", "work"];
    let line = std::iter::once("launch").chain(flags.split_whitespace()).chain(fixed);
    start(workspace.command(line.chain(arguments.iter().copied())))
}

pub(crate) fn stumbling(kwargs: &str) -> Workspace {
    let workspace =
        Workspace::with(&format!("custom_hooks = [dict(type='StumbleHook', {kwargs})]"));
    workspace.add_plugin(&fixture("stumble"));
    workspace
}

/// The folder of the ranks' logs of the only launch.
fn logs(workspace: &Workspace) -> PathBuf {
    let entries = std::fs::read_dir(workspace.work()).unwrap().map(|entry| entry.unwrap().path());
    let is_launch =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("launch_");
    entries.into_iter().find(is_launch).unwrap()
}

pub(crate) fn log_says(workspace: &Workspace, rank: u32, text: &str) -> bool {
    workspace.work().is_dir() && {
        let entries = std::fs::read_dir(workspace.work()).unwrap();
        let files = entries.map(|entry| entry.unwrap().path().join(format!("rank_{rank}.log")));
        files
            .into_iter()
            .any(|file| std::fs::read_to_string(file).is_ok_and(|log| log.contains(text)))
    }
}

/// The processes that the launcher started and that train.
pub(crate) fn trainers(launcher: &Running) -> Vec<u32> {
    let parent = format!("\nPPid:\t{}\n", launcher.id());
    let is_one = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.starts_with("Name:\tsnaphook-traine\n") && status.contains(&parent)
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(is_one).collect()
}

pub(crate) fn send(process: u32, signal: &str) {
    assert!(Command::new("kill").arg(signal).arg(process.to_string()).status().unwrap().success());
}

pub(crate) const PLACE: &str = "StumbleHook at after_train_iter (epoch 2, iteration 4)";

#[test]
fn a_launched_run_is_the_run_that_it_would_be_alone_and_its_output_is_kept() {
    let alone = Workspace::new();
    alone.train(&[]).expect_code(0);
    let launched = Workspace::new();
    let outcome = launch(&launched, "--nproc-per-node 1", &[]).wait();
    outcome.expect_code(0).expect_error(&["1 rank at 127.0.0.1:"]);
    assert!(weights(&alone.file("work/epoch_3")) == weights(&launched.file("work/epoch_3")));
    let log = std::fs::read_to_string(logs(&launched).join("rank_0.log")).unwrap();
    assert!(log.contains("Epoch(train)") && outcome.stdout.contains("Epoch(train)"), "{outcome}");
    assert!(logs(&launched).join("rank_0.heartbeat").is_file());
}

#[test]
fn a_wrong_config_ends_the_launch_before_there_are_ranks() {
    let workspace = Workspace::with("custom_hooks = [dict(type='NoSuchHook')]");
    let outcome = launch(&workspace, "--nproc-per-node 2", &[]).wait();
    assert!(outcome.expect_code(1).error().contains("NoSuchHook"), "{outcome}");
    assert!(!outcome.stderr.contains("snaphook launch:"), "{outcome}");
    assert!(!workspace.work().exists());
    let outcome = launch(&workspace, "--nnodes 2", &[]).wait();
    assert_eq!(outcome.code(), 1, "{outcome}");
}

#[test]
fn a_hook_that_hangs_is_named_with_its_place_and_ends_the_job() {
    let workspace = stumbling("how='hang'");
    // The rank is stopped by its own plugin until the launcher gives it up.
    let flags = "--nproc-per-node 1 --hang-warning 2 --hang-timeout 12 --grace 1";
    let outcome = launch(&workspace, flags, &[]).wait();
    let reason = format!("rank 0: {PLACE}");
    outcome.expect_code(3).expect_error(&[
        "no progress for",
        &reason,
        "--hang-timeout",
        "failed: no progress",
    ]);
}

#[test]
fn a_rank_that_is_killed_is_told_with_the_place_where_it_was() {
    let workspace = stumbling("how='hang'");
    let mut launcher = launch(&workspace, "--nproc-per-node 1", &[]);
    let hangs =
        |workspace: &Workspace| log_says(workspace, 0, "StumbleHook is called at iteration 3");
    assert!(launcher.wait_until(|| hangs(&workspace)));
    let [trainer] = trainers(&launcher).try_into().unwrap();
    send(trainer, "-KILL");
    let seen = format!("it was last seen at: {PLACE}");
    launcher.wait().expect_code(137).expect_error(&["rank 0 was ended by SIGKILL", &seen]);
}

#[test]
fn a_job_that_failed_goes_on_by_itself_from_its_last_checkpoint() {
    let calm = Workspace::new();
    calm.train(&[]).expect_code(0);
    let workspace = stumbling("how='once', at_iter=5, file='was-here'");
    let outcome = launch(&workspace, "--nproc-per-node 1 --max-restarts 2", &[]).wait();
    outcome.expect_code(0);
    outcome.expect_error(&[
        "rank 0 ended with exit code 3",
        "tripped once at iteration 5",
        "restart 1 of 2: the job goes on from",
    ]);
    outcome.expect_text(&["Resumed from"]);
    assert!(!outcome.stderr.contains("restart 2"), "{outcome}");
    assert!(weights(&calm.file("work/epoch_3")) == weights(&workspace.file("work/epoch_3")));
}

#[test]
fn a_launch_that_is_asked_to_end_saves_and_says_that_it_can_go_on() {
    let workspace = stumbling("how='slow', at_iter=0");
    let long = ["train_cfg.max_epochs=400", "train_cfg.val_interval=1000"];
    let mut launcher = launch(&workspace, "--nproc-per-node 1", &long);
    assert!(launcher.wait_until(|| log_says(
        &workspace,
        0,
        "StumbleHook is called at iteration 1"
    )));
    send(launcher.id(), "-TERM");
    let outcome: Outcome = launcher.wait();
    outcome
        .expect_code(75)
        .expect_error(&["SIGTERM: passed on to 1 rank", "all ranks ended as they were asked to"]);
    launch(&workspace, "--nproc-per-node 1", &["--resume"])
        .wait()
        .expect_code(0)
        .expect_text(&["Resumed from"]);
}

#[test]
fn the_rank_that_read_a_broken_picture_is_the_one_that_is_told() {
    let workspace = Workspace::new();
    let pictures = std::fs::read_dir(workspace.file("data/train")).unwrap();
    let path = pictures.map(|entry| entry.unwrap().path()).min().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..50]).unwrap();
    let outcome = launch(&workspace, "--nproc-per-node 2", &[]).wait();
    let told = outcome.stderr.lines().find(|line| line.contains("failed: rank ")).unwrap();
    let rank = if told.contains("rank 0 ended") { 0 } else { 1 };
    // It does not blame another one.
    assert!(!log_says(&workspace, rank, "and the run ends on every rank"), "{outcome}");
    outcome.expect_code(1);
}
