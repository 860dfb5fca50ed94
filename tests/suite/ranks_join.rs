//! Ranks that wait for another one to come: they say for whom, the launcher sees it, and a signal ends them at once.

use std::net::TcpStream;
use std::process::Command;

use snaphook_tests::{Running, Workspace, claimed_port, start};

use crate::launched::send;

/// Seconds for all ranks to come.
const PATIENT: &str = "env_cfg.dist_cfg.timeout=120";
const IMPATIENT: &str = "env_cfg.dist_cfg.timeout=12";

/// A rank of a training; its record is `rank_N.heartbeat` in the workspace.
fn rank(workspace: &Workspace, place: (usize, usize), port: u16, timeout: &str) -> Command {
    let line = ["train", "tiny.py", "--work-dir", "work", timeout];
    let mut command = workspace.rank_command(place, port, line);
    command.env("SNAPHOOK_HEARTBEAT", workspace.file(record(place.0)));
    command
}

fn record(rank: usize) -> String {
    format!("rank_{rank}.heartbeat")
}

/// Waits until the rank has written into its record that it waits for others.
#[track_caller]
fn until_joining(workspace: &Workspace, running: &mut Running, rank: usize) {
    let path = workspace.file(record(rank));
    let is_joining =
        || std::fs::read(&path).is_ok_and(|bytes| bytes.windows(7).any(|part| part == b"joining"));
    assert!(running.wait_until(is_joining), "rank {rank} has ended");
}

#[test]
fn a_rank_that_never_comes_is_named_by_those_that_wait() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    let ranks = [0, 2].map(|own| start(rank(&workspace, (own, 3), port, IMPATIENT)));
    for (own, outcome) in [0, 2].into_iter().zip(ranks.map(Running::wait)) {
        let waiting = format!("rank {own}: waiting for rank 1 of 3 for ");
        let error = format!("error: rank {own} of 3: rank 1 did not come within 12 s (");
        outcome.expect_code(3).expect_error(&[&waiting, &error]);
    }
    assert!(!workspace.work().exists(), "nothing is written");
}

#[test]
fn a_signal_ends_all_ranks_that_wait() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    let mut first = start(rank(&workspace, (0, 3), port, PATIENT));
    assert!(first.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok()));
    let mut second = start(rank(&workspace, (2, 3), port, PATIENT));
    until_joining(&workspace, &mut second, 2);
    send(second.id(), "-TERM");
    let (first, second) = (first.wait(), second.wait());
    let words =
        "rank 2: interrupted by SIGTERM before all ranks had come, nothing was there to save";
    second.expect_code(75).expect_error(&[words]);
    first.expect_code(75).expect_error(&["rank 0: rank 2 was asked to end by SIGTERM before"]);
}

#[test]
fn all_that_wait_hear_why_before_rank_0_takes_the_store_with_it() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    let mut waiting: Vec<Running> = Vec::new();
    for own in [0, 2, 3, 4, 1] {
        let mut running = start(rank(&workspace, (own, 6), port, PATIENT));
        until_joining(&workspace, &mut running, own);
        waiting.push(running);
    }
    let asked = waiting.pop().unwrap();
    send(asked.id(), "-TERM");
    asked.wait().expect_code(75);
    for running in waiting {
        running.wait().expect_code(75).expect_error(&["rank 1 was asked to end by SIGTERM before"]);
    }
}

#[test]
fn a_signal_ends_a_rank_that_waits_for_the_first_one() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    for (signal, code) in [("-TERM", 75), ("-USR1", 75), ("-INT", 130)] {
        let mut running = start(rank(&workspace, (1, 2), port, PATIENT));
        until_joining(&workspace, &mut running, 1);
        send(running.id(), signal);
        running.wait().expect_code(code).expect_error(&["nothing was there to save"]);
        std::fs::remove_file(workspace.file(record(1))).unwrap();
    }
}

#[test]
fn a_signal_ends_a_rank_that_waits_for_another_ones_start() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    // Reading it never ends, so that this rank comes no farther than its data.
    let other = Workspace::new();
    let annotations = other.file("data/annotations/train.json");
    std::fs::remove_file(&annotations).unwrap();
    assert!(Command::new("mkfifo").arg(&annotations).status().unwrap().success());
    let mut first = start(rank(&workspace, (0, 2), port, PATIENT));
    let _second = start(rank(&other, (1, 2), port, PATIENT));
    let path = workspace.file(record(0));
    let is_preparing = || {
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(9).any(|part| part == b"preparing"))
    };
    assert!(first.wait_until(is_preparing));
    send(first.id(), "-TERM");
    let words = "rank 0: interrupted by SIGTERM while it waited for the other ranks to start, nothing was there to save";
    first.wait().expect_code(75).expect_error(&[words]);
}

#[test]
fn the_launcher_names_the_rank_that_the_others_wait_for() {
    let workspace = Workspace::new();
    let job = format!(
        "if [ $RANK = 1 ]; then exec sleep 600; fi; exec $SNAPHOOK train tiny.py --work-dir work {IMPATIENT}"
    );
    let flags = ["--nproc-per-node", "2", "--hang-warning", "2", "--grace", "1"];
    let program = ["--", "sh", "-c", &job];
    let line = ["launch"].iter().chain(&flags).chain(&program);
    let mut command = workspace.command(line);
    command.env("SNAPHOOK", snaphook_tests::programs().snaphook());
    let outcome = start(command).wait();
    outcome.expect_code(3).expect_error(&[
        "the odd one is rank 1: no word from it yet for ",
        "rank 0: waiting for the other ranks to come for ",
        "rank 0 ended with exit code 3, and these stand still: rank 1: no word from it yet",
        "rank 1 did not come within 12 s",
    ]);
}

#[test]
fn a_rank_that_is_told_a_network_card_which_is_not_there_is_named_by_all() {
    let (workspace, port) = (Workspace::new(), claimed_port());
    let ranks = [0, 1, 2].map(|own| {
        let mut command = rank(&workspace, (own, 3), port, PATIENT);
        if own == 1 {
            command.env("GLOO_SOCKET_IFNAME", "no-such-card");
        }
        start(command)
    });
    let problem = "GLOO_SOCKET_IFNAME: expected a network card of this machine (";
    for (own, outcome) in [0, 1, 2].into_iter().zip(ranks.map(Running::wait)) {
        let found = "found no-such-card on rank 1";
        outcome.expect_code(1).expect_error(&[problem, found]);
        let elsewhere = "rank 1 cannot start, and the run ends on every rank: ";
        assert_eq!(outcome.stderr.contains(elsewhere), own != 1, "{outcome}");
    }
}

#[test]
fn ranks_that_were_not_started_alike_name_each_other() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    for (world, verb) in [(3, "train"), (2, "test")] {
        let port = claimed_port();
        let first = start(rank(&workspace, (0, 2), port, PATIENT));
        let line = match verb {
            "train" => vec!["train", "tiny.py", "--work-dir", "work", PATIENT],
            _ => vec!["test", "tiny.py", "work/epoch_1", "--work-dir", "work", PATIENT],
        };
        let second = start(workspace.rank_command((1, world), port, line));
        let theirs =
            if verb == "train" { "a training with 3 ranks" } else { "a test with 2 ranks" };
        let (first, second) = (first.wait(), second.wait());
        let words = |rank: usize, own: &str, other: usize, found: &str| {
            format!("rank {rank} was started for {own}, and rank {other} for {found}")
        };
        let own = "a training with 2 ranks";
        first.expect_code(1).expect_error(&[&words(0, own, 1, theirs)]);
        second.expect_code(1).expect_error(&[&words(1, theirs, 0, own)]);
    }
}
