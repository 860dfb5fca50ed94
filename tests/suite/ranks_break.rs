//! Two ranks under `snaphook launch`, of which one is killed, stopped, slow, hangs or fails: all end, and the message names the
//! rank, the hook point and the iteration.

use snaphook_tests::{Outcome, Running, Workspace, claimed_port, start, weights};

use crate::launched::{PLACE, launch, log_says, send, stumbling, trainers};

/// Two iterations in each epoch of a rank.
const SMALL: &str = "train_dataloader.batch_size=1";

/// Epochs that do not come to their end before somebody ends them.
const LONG: [&str; 2] = ["train_cfg.max_epochs=400", "train_cfg.val_interval=1000"];

/// A workspace in which one rank stumbles, and a launch of two ranks in it.
fn two_ranks(kwargs: &str, flags: &str) -> (Workspace, Running) {
    impatient_ranks(kwargs, flags, &[])
}

/// The same, with further arguments of the training.
fn impatient_ranks(kwargs: &str, flags: &str, arguments: &[&str]) -> (Workspace, Running) {
    let workspace = stumbling(kwargs);
    let flags = format!("--nproc-per-node 2 --grace 5 {flags}");
    let launcher = launch(&workspace, &flags, &[&[SMALL], arguments].concat());
    (workspace, launcher)
}

/// The process of a rank.
fn process_of(launcher: &Running, rank: u32) -> u32 {
    let is_it = |process: &u32| {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let variable = format!("RANK={rank}");
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    trainers(launcher).into_iter().find(is_it).unwrap()
}

#[track_caller]
fn until_called(workspace: &Workspace, launcher: &mut Running, rank: u32, iteration: u32) {
    let line = format!("StumbleHook is called at iteration {iteration}");
    let is_called = || {
        // Only rank 0 writes what hooks say onto its terminal; the others write it into their files.
        log_says(workspace, rank, &line) || file_says(workspace, rank, &line)
    };
    assert!(launcher.wait_until(is_called), "the hook was not called");
}

/// Whether a file of the run's folder that belongs to this rank has the line.
fn file_says(workspace: &Workspace, rank: u32, line: &str) -> bool {
    let Ok(runs) = std::fs::read_dir(workspace.work()) else { return false };
    let files = runs.flatten().filter_map(|run| std::fs::read_dir(run.path()).ok()).flatten();
    files.flatten().any(|file| {
        let name = file.file_name().into_string().unwrap();
        name.ends_with(&format!("_rank{rank}.log"))
            && std::fs::read_to_string(file.path()).is_ok_and(|log| log.contains(line))
    })
}

#[test]
fn a_killed_rank_ends_all_and_is_named_with_its_place() {
    let (workspace, mut launcher) = two_ranks("how='hang', rank=1", "");
    until_called(&workspace, &mut launcher, 1, 3);
    send(process_of(&launcher, 1), "-KILL");
    let seen = format!("it was last seen at: {PLACE}");
    launcher.wait().expect_code(137).expect_error(&["rank 1 was ended by SIGKILL", &seen]);
}

#[test]
fn a_hook_that_hangs_on_one_rank_makes_it_the_odd_one() {
    let (_workspace, launcher) =
        two_ranks("how='hang', rank=1", "--hang-warning 3 --hang-timeout 15");
    let odd = format!("the odd one is rank 1: {PLACE}");
    launcher.wait().expect_code(3).expect_error(&[&odd, "rank 0: ", "failed: no progress"]);
}

#[test]
fn a_stopped_rank_is_the_odd_one_and_does_not_hold_up_the_others() {
    let flags = "--hang-warning 3 --hang-timeout 15";
    let (workspace, mut launcher) = impatient_ranks("how='slow', at_iter=0", flags, &LONG);
    until_called(&workspace, &mut launcher, 1, 1);
    send(process_of(&launcher, 1), "-STOP");
    let outcome = launcher.wait();
    let at_a_hook_or_between = [" (epoch ", ", iteration "];
    outcome.expect_code(3).expect_error(&["the odd one is rank 1: ", "its process is stopped"]);
    outcome.expect_error(&at_a_hook_or_between);
}

#[test]
fn a_stopped_rank_is_named_with_its_place_in_the_first_reason() {
    let (workspace, mut launcher) = impatient_ranks(
        "how='slow', at_iter=0",
        "",
        &[LONG.as_slice(), &["env_cfg.dist_cfg.timeout=5"]].concat(),
    );
    until_called(&workspace, &mut launcher, 1, 1);
    send(process_of(&launcher, 1), "-STOP");
    let outcome = launcher.wait();
    outcome.expect_code(3);
    let is_reason = |line: &&str| line.contains("rank 0 ended with exit code 3");
    let reason = outcome.stderr.lines().find(is_reason).unwrap();
    for part in ["stand still: rank 1: ", "(epoch ", ", iteration ", "its process is stopped"] {
        assert!(reason.contains(part), "expected {part}: {reason}\n{outcome}");
    }
    // The rank that waited says the same, as it would under another launcher.
    outcome.expect_error(&["rank 1 is gone or does not answer: rank 1 was seen last: "]);
}

#[test]
fn a_rank_that_comes_after_the_timeout_is_named_with_what_it_did() {
    let (_workspace, launcher) =
        impatient_ranks("how='pause', seconds=6, rank=1", "", &["env_cfg.dist_cfg.timeout=4"]);
    let outcome = launcher.wait();
    // Six seconds, to a tenth or two.
    let place = format!(" s in {PLACE}; ");
    outcome.expect_code(3).expect_error(&["rank 1 was late: ", &place]);
    assert!(!outcome.stderr.contains("lost each other"), "{outcome}");
}

#[test]
fn a_hook_that_waited_in_vain_is_named() {
    let timeout = "env_cfg.dist_cfg.timeout=4";
    let means = ["default_hooks.logger.mean_over_ranks=True", "default_hooks.logger.interval=1"];
    let arguments = [[timeout].as_slice(), &means].concat();
    let (_workspace, launcher) = impatient_ranks("how='pause', seconds=6, rank=1", "", &arguments);
    let waited = "hook LoggerHook at after_train_iter (epoch ";
    launcher.wait().expect_code(3).expect_error(&["rank 1 was late: ", waited]);
}

#[test]
fn a_rank_that_comes_when_the_others_have_ended_says_what_kept_it() {
    let workspace = stumbling("how='hold', file='go', rank=1");
    let line = ["train", "tiny.py", "--work-dir", "work", SMALL, "env_cfg.dist_cfg.timeout=4"];
    let ranks = workspace.start_ranks(2, |_| line.map(str::to_owned).to_vec());
    let [first, second] = <[Running; 2]>::try_from(ranks).unwrap();
    let first = first.wait();
    workspace.write("go", "");
    let outcomes = [first, second.wait()];
    let seen = format!("rank 1 is gone or does not answer: rank 1 was seen last: {PLACE}; ");
    outcomes[0].expect_code(3).expect_error(&[&seen]);
    let late = format!(" s in {PLACE}, and the others have ended; ");
    outcomes[1].expect_code(3).expect_error(&["rank 1 was late: ", &late]);
}

#[test]
fn a_slow_rank_is_named_and_the_run_goes_on() {
    let (_workspace, launcher) = two_ranks("how='pause', rank=1", "--hang-warning 1.5");
    let odd = format!("the odd one is rank 1: {PLACE}");
    launcher.wait().expect_code(0).expect_error(&[&odd]);
}

#[test]
fn a_panic_on_one_rank_ends_all_with_its_reason() {
    let (_workspace, launcher) = two_ranks("how='panic', rank=1", "");
    let outcome = launcher.wait();
    outcome.expect_code(3).expect_error(&[
        "rank 1",
        "after_train_iter",
        "stumbled over iteration 3",
    ]);
}

#[test]
fn two_ranks_go_on_by_themselves_from_their_last_checkpoint() {
    let calm = Workspace::new();
    launch(&calm, "--nproc-per-node 2", &[SMALL]).wait().expect_code(0);
    let (workspace, launcher) =
        two_ranks("how='once', at_iter=5, rank=1, file='was-here'", "--max-restarts 1");
    let outcome = launcher.wait();
    outcome.expect_code(0).expect_error(&["restart 1 of 1: the job goes on from"]);
    assert!(weights(&calm.file("work/epoch_3")) == weights(&workspace.file("work/epoch_3")));
}

#[test]
fn a_signal_to_the_launcher_saves_one_checkpoint_of_all_ranks() {
    let (workspace, mut launcher) = impatient_ranks("how='slow', at_iter=0", "", &LONG);
    until_called(&workspace, &mut launcher, 0, 1);
    send(launcher.id(), "-TERM");
    launcher
        .wait()
        .expect_code(75)
        .expect_error(&["SIGTERM: passed on to 2 ranks", "all ranks ended as they were asked to"]);
    let entries = std::fs::read_dir(workspace.work()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let saved: Vec<String> = names.filter(|name| name.starts_with("interrupted")).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    let resumed: Outcome = launch(&workspace, "--nproc-per-node 2", &[SMALL, "--resume"]).wait();
    resumed.expect_code(0).expect_text(&["Resumed from"]);
}

#[test]
fn a_stopped_rank_goes_on_and_saves_with_the_others_when_the_job_is_asked_to_end() {
    let (workspace, mut launcher) = impatient_ranks("how='slow', at_iter=0", "", &LONG);
    until_called(&workspace, &mut launcher, 1, 1);
    let process = process_of(&launcher, 1);
    send(process, "-STOP");
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        stat.contains(") T")
    };
    assert!(launcher.wait_until(is_stopped));
    send(launcher.id(), "-TERM");
    launcher.wait().expect_code(75).expect_error(&[
        "rank 1 is stopped: let go on, so that it can end",
        "all ranks ended as they were asked to",
    ]);
}

#[test]
fn no_master_is_told_within_the_timeout() {
    let workspace = Workspace::new();
    let port = claimed_port();
    let line = ["train", "tiny.py", "--work-dir", "work", "env_cfg.dist_cfg.timeout=2"];
    let mut command = workspace.command(line);
    command.env("RANK", "1").env("WORLD_SIZE", "2").env("LOCAL_RANK", "0");
    command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
    let outcome = start(command).wait();
    assert_ne!(outcome.code(), 0, "{outcome}");
    assert!(outcome.error().contains("127.0.0.1"), "{outcome}");
    assert!(!workspace.work().exists());
}

#[test]
fn ranks_of_another_launcher_tell_what_they_do_in_the_folder_of_the_run() {
    let workspace = Workspace::new();
    let outcomes = workspace.train_ranks(2, &["train_cfg.max_epochs=1"]);
    outcomes.iter().for_each(|outcome| {
        outcome.expect_code(0);
    });
    let runs = std::fs::read_dir(workspace.work()).unwrap().map(|run| run.unwrap().path());
    let has_both = |run: &std::path::PathBuf| {
        ["rank_0.heartbeat", "rank_1.heartbeat"].iter().all(|name| run.join(name).is_file())
    };
    assert!(runs.into_iter().any(|run| has_both(&run)));
    let told = workspace.snaphook(["runs", "where", "work", "--all"]);
    told.expect_code(0).expect_text(&["RANK", "ended", "epoch 1, iteration 1"]);
    let nobody = workspace.snaphook(["runs", "where", "work"]);
    workspace.snaphook(["runs", "where", "nowhere"]).expect_code(1).expect_error(&["nowhere: "]);
    nobody.expect_code(0).expect_text(&["no run of several processes is at work there"]);
}
