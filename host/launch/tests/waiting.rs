//! Launchers that wait for each other: they say for whom, hear who does not come, and wait no longer than they were told.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use launcher::{Place, Running, free_port, send, start_of_three, start_of_three_as, until};

#[test]
fn a_machine_hears_which_other_one_did_not_come() {
    let place = Place::new();
    let port = free_port();
    let second = start_of_three(&place, 1, &port, &[], "true");
    until("a word", || second.stderr().contains("looks for machine 0"));
    let first = start_of_three(&place, 0, &port, &["--join-timeout", "5"], "true");
    let reason = "expected 3 machines, found 2 for 5 s; missing: 2";
    first.wait().expect(1, &[reason]);
    second.wait().expect(1, &[reason]);
}

#[test]
fn machines_that_come_late_hear_for_whom_they_wait() {
    let place = Place::new();
    let port = free_port();
    let start = |machine| start_of_three(&place, machine, &port, &[], "true");
    let first = start(0);
    first.await_words(&format!("waiting at 127.0.0.1:{port} for machines 1, 2"));
    let second = start(1);
    second.await_words("machine 1 waits: for machine 2");
    first.await_words(&format!("waiting at 127.0.0.1:{port} for machine 2"));
    for running in [start(2), first, second] {
        running.wait().expect(0, &["of 3 at 127.0.0.1"]);
    }
}

#[test]
fn what_answers_and_is_no_launcher_is_not_waited_for_without_end() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    // Takes connections and closes them, as long as the tests run; every other one after a word that no launcher says.
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|mut stream| {
            if counter.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 70]);
            }
        });
    });
    let ended = start_of_three(&place, 1, &port, &["--join-timeout", "1"], "true").wait();
    let reason = format!("expected the launcher of machine 0 at 127.0.0.1:{port}, found nobody");
    ended.expect(1, &[&reason, &format!("no launcher at 127.0.0.1:{port} yet: ")]);
    assert_eq!(ended.stderr.matches("no launcher at").count(), 1, "{}", ended.stderr);
    let attempts = attempts.load(Ordering::SeqCst);
    assert!(attempts <= 7, "{attempts} attempts in a second, with pauses of 0.2 s");
}

#[test]
fn machines_that_come_when_another_one_cannot_take_part_hear_why() {
    for broken in [0, 1] {
        let place = Place::new();
        let port = free_port();
        let start = |machine| start_of_three(&place, machine, &port, &[], "true");
        std::fs::write(place.path(&format!("m{broken}")), "").unwrap();
        let reason = format!("machine {broken} cannot start its ranks: m{broken}: cannot be");
        let first = start(0);
        if broken == 0 {
            first.await_words("waiting for machines 1, 2 to hear it");
        }
        let second = start(1).wait();
        second.expect(1, &[&reason]);
        if broken == 1 {
            first.await_words("waiting for machine 2 to hear it");
        }
        let third = start(2).wait();
        third.expect(1, &[&format!("the job is over: {reason}")]);
        first.wait().expect(1, &[&reason]);
    }
}

/// Two machines of three that wait for the last one.
fn two_of_three(place: &Place, port: &str) -> [Running; 2] {
    let both = [0, 1].map(|machine| start_of_three(place, machine, port, &[], "true"));
    both[1].await_words("machine 1 waits: for machine 2");
    both
}

#[test]
fn an_interrupt_before_the_first_round_ends_the_job_and_says_where() {
    let place = Place::new();
    let port = free_port();
    let [first, second] = two_of_three(&place, &port);
    send(second.id(), "-INT");
    second.wait().expect(130, &["error: ended by SIGINT before the ranks were started"]);
    let reason = "error: machine 1: ended by SIGINT before the ranks were started";
    first.wait().expect(130, &[reason]);
}

#[test]
fn a_machine_that_is_moved_before_the_first_round_may_come_again() {
    let place = Place::new();
    let port = free_port();
    let [first, second] = two_of_three(&place, &port);
    send(second.id(), "-TERM");
    second.wait().expect(143, &["ended by SIGTERM before the ranks were started"]);
    first.await_words("machine 1: ended by SIGTERM before the ranks were started; it may come");
    let again = start_of_three_as(&place, "again", (1, &port), &[], "true");
    let third = start_of_three(&place, 2, &port, &[], "true");
    for running in [first, again, third] {
        running.wait().expect(0, &[]);
    }
}

#[test]
fn orphans_are_waited_for_while_a_launcher_waits_for_machines() {
    for machine in ["0", "1"] {
        let place = Place::new();
        let mut shell = Command::new("sh");
        // As orphans come to the first process of a container.
        let script = "sleep 0 & echo $! > orphan; exec \"$@\"";
        shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_snaphook-launch"), "--nnodes", "2"]);
        shell.args(["--node-rank", machine, "--master-addr", "127.0.0.1", "--log-dir", "logs"]);
        shell.args(["--master-port", &free_port(), "--", "true"]);
        let waiting = place.start_command("waiting", shell);
        let orphan = place.process("orphan");
        until("its end", || !std::path::Path::new(&format!("/proc/{orphan}")).exists());
        waiting.await_words(if machine == "0" { "waiting at" } else { "looks for machine 0" });
        send(waiting.id(), "-TERM");
        waiting.wait().expect(143, &["ended by SIGTERM before the ranks were started"]);
    }
}
