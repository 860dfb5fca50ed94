//! What ranks say, and a terminal or a program behind a pipe that takes its time with it, or does not read at all.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use launcher::{Place, Running, free_port, has_signal, is_alive, send, until};

const LAUNCHER: &str = env!("CARGO_BIN_EXE_snaphook-launch");

/// A pipe with a name that nobody reads.
fn still(place: &Place) -> File {
    let path = place.path("still");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).write(true).custom_flags(no_wait).open(path).unwrap()
}

/// Starts a launcher whose standard error is that pipe.
fn start_before_still(place: &Place, flags: &str, rank: &str) -> Running {
    std::fs::write(place.path("rank.sh"), rank).unwrap();
    let line = format!("exec {LAUNCHER} --log-dir logs {flags} -- sh rank.sh 2> still");
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    place.start_command("before_still", command)
}

#[test]
fn a_reader_that_takes_its_time_gets_all_lines() {
    const LINES: u32 = 300_000;
    let place = Place::new();
    // Far more than pipes hold, and what the launcher keeps.
    let rank = format!("seq 1 {LINES}; echo > said.$RANK");
    let flags = "--nproc-per-node 2 --tee 1 --log-dir logs";
    let reader = "until [ -f go ]; do sleep 0.01; done; cat";
    let line =
        format!("{{ {LAUNCHER} {flags} -- sh -c '{rank}'; echo $? > code; }} | {{ {reader}; }}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    let running = place.start_command("pipe", command);
    place.await_files(&["said.0", "said.1"]);
    let lines = || 1..=LINES;
    let whole: String = lines().map(|number| format!("{number}\n")).collect();
    for rank in 0..2 {
        let log = format!("logs/rank_{rank}.log");
        until("the whole log", || place.read(&log).len() == whole.len());
        assert!(place.read(&log) == whole);
    }
    std::fs::write(place.path("go"), "").unwrap();
    let ended = running.wait();
    assert_eq!(place.read("code"), "0\n", "{}", ended.stderr);
    for rank in 0..2 {
        let prefix = format!("[rank {rank}] ");
        let own = ended.stdout.lines().filter_map(|line| line.strip_prefix(&prefix));
        assert!(own.eq(lines().map(|number| number.to_string())), "rank {rank}");
    }
}

#[test]
fn a_terminal_that_stands_still_keeps_nobody_from_work() {
    let place = Place::new();
    let _still = still(&place);
    let rank = "trap '' TERM; echo $$ > pid.$RANK; \
        if [ $RANK = 0 ]; then seq 1 100000 >&2; echo > said; while true; do sleep 600; done; fi; \
        while [ ! -f said ]; do sleep 0.01; done; exit 5";
    let running = start_before_still(&place, "--nproc-per-node 2 --grace 0.3", rank);
    let killed = place.process("pid.0");
    place.await_files(&["said"]);
    until("the end of rank 0", || !is_alive(killed));
    // There is nothing left to do but to wait for a reader.
    send(running.id(), "-TERM");
    assert_eq!(running.wait().code, 5);
}

#[test]
fn a_job_that_is_asked_to_end_waits_no_longer_for_a_reader_than_for_ranks() {
    let place = Place::new();
    let _still = still(&place);
    let rank = "seq 1 100000 >&2; trap 'exit 75' TERM; echo $$ > pid.$RANK; \
        while true; do sleep 0.02; done";
    let running = start_before_still(&place, "--grace 0.3", rank);
    place.process("pid.0");
    send(running.id(), "-TERM");
    assert_eq!(running.wait().code, 75);
}

#[test]
fn a_job_that_does_not_begin_ends_where_nobody_reads_why() {
    for stands_still_at_once in [true, false] {
        let place = Place::new();
        let mut still = still(&place);
        let fill = |still: &mut File| while still.write(&[b'x'; 1 << 12]).is_ok() {};
        if stands_still_at_once {
            fill(&mut still);
        }
        let port = free_port();
        let flags = format!(
            "--nnodes 2 --node-rank 0 --master-addr 127.0.0.1 --master-port {port} --grace 0.3"
        );
        let running = start_before_still(&place, &flags, "true");
        until("a launcher that hears", || has_signal(running.id(), "SigCgt:", 15));
        if !stands_still_at_once {
            let mut said = Vec::new();
            until("its words", || {
                let mut piece = [0; 1 << 12];
                said.extend(still.read(&mut piece).map_or(&[][..], |read| &piece[..read]));
                String::from_utf8_lossy(&said).contains("waiting at")
            });
            fill(&mut still);
        }
        send(running.id(), "-TERM");
        assert_eq!(running.wait().code, 143);
    }
}
