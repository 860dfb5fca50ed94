//! Jobs on two machines, which are two launchers on the loopback address: they meet, fail together and start again
//! together.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use launcher::{Place, Running, is_alive, send, until};

/// Two launchers of one job; the port is free when they start.
fn start(place: &Place, flags: &[&str], script: &str) -> [Running; 2] {
    let port = free_port();
    [0, 1].map(|machine| {
        let number = machine.to_string();
        let mut all = vec!["--nnodes", "2", "--node-rank", &number, "--master-addr", "127.0.0.1"];
        all.extend(["--master-port", &port, "--nproc-per-node", "2"]);
        all.extend(flags);
        place.start(&format!("m{machine}"), &all, script)
    })
}

/// Below the ports that the system gives to whoever asks for any, and taken by no other test while this process lives.
fn free_port() -> String {
    let claim = |port: &u16| {
        let name = SocketAddr::from_abstract_name(format!("snaphook-test-port-{port}")).unwrap();
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", *port)).ok()?;
        Some(claim)
    };
    let (port, claim) = (10_000..20_000).find_map(|port| Some((port, claim(&port)?))).unwrap();
    std::mem::forget(claim);
    port.to_string()
}

const WAITING: &str = "echo $$ > pid.$RANK; exec sleep 600";

#[test]
fn ranks_are_numbered_through_and_know_one_master() {
    let place = Place::new();
    let script = "echo $GROUP_RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR:$MASTER_PORT > rank.$RANK";
    let [first, second] = start(&place, &[], script).map(Running::wait);
    first.expect(0, &["ranks 0 to 1 of 4"]);
    second.expect(0, &["ranks 2 to 3 of 4"]);
    let master = place.read("rank.0").split_whitespace().last().unwrap().to_owned();
    for (rank, expected) in ["0 0", "0 1", "1 0", "1 1"].iter().enumerate() {
        assert_eq!(place.read(&format!("rank.{rank}")), format!("{expected} 4 {master}\n"));
    }
}

#[test]
fn a_failure_on_one_machine_ends_the_other_with_the_same_reason_and_code() {
    for failing in [1, 3] {
        let place = Place::new();
        let script =
            format!("if [ $RANK = {failing} ]; then echo 'error: here' >&2; exit 3; fi; {WAITING}");
        for ended in start(&place, &[], &script).map(Running::wait) {
            let reason = format!("rank {failing} ended with exit code 3");
            ended.expect(3, &[&reason, "error: here", "failed: rank"]);
        }
    }
}

#[test]
fn a_launcher_that_is_killed_ends_the_job_on_the_other_machine() {
    for killed in [0, 1] {
        let place = Place::new();
        let [first, second] = start(&place, &[], WAITING);
        let pids = [0, 1, 2, 3].map(|rank| place.process(&format!("pid.{rank}")));
        let (victim, other) = if killed == 0 { (first, second) } else { (second, first) };
        send(victim.id(), "-KILL");
        let reason = format!("the launcher of machine {killed} is gone");
        other.wait().expect(3, &[&reason]);
        until("the end of all ranks", || !pids.iter().any(|pid| is_alive(*pid)));
    }
}

#[test]
fn all_machines_start_again_together() {
    let place = Place::new();
    let script = "echo $WORLD_SIZE >> starts.$RANK; \
        [ $RANK = 3 ] && [ $TORCHELASTIC_RESTART_COUNT = 0 ] && exit 9; \
        [ $TORCHELASTIC_RESTART_COUNT = 0 ] && sleep 600; exit 0";
    for ended in start(&place, &["--max-restarts", "1"], script).map(Running::wait) {
        ended.expect(0, &["rank 3 ended with exit code 9", "restart 1 of 1"]);
    }
    for rank in 0..4 {
        assert_eq!(place.read(&format!("starts.{rank}")), "4\n4\n");
    }
}

#[test]
fn ranks_that_save_on_one_machine_and_are_done_on_the_other_ask_for_another_start() {
    let place = Place::new();
    let script =
        "trap 'exit 75' TERM; [ $GROUP_RANK = 1 ] && exit 0; echo $$ > pid.$RANK; sleep 600 & wait";
    let [first, second] = start(&place, &[], script);
    place.process("pid.0");
    place.process("pid.1");
    send(first.id(), "-TERM");
    first.wait().expect(75, &["all ranks ended as they were asked to"]);
    second.wait().expect(75, &[]);
}

#[test]
fn nobody_at_the_master_s_address_is_told() {
    let place = Place::new();
    let port = free_port();
    let mut flags = vec!["--nnodes", "2", "--join-timeout", "0.3", "--master-addr", "127.0.0.1"];
    flags.extend(["--master-port", &port]);
    let alone = |rank: &'static str| {
        let flags = [flags.as_slice(), &["--node-rank", rank]].concat();
        place.run(&flags, "true")
    };
    alone("1").expect(1, &["expected the launcher of machine 0 at 127.0.0.1:", "refused"]);
    alone("0").expect(1, &["expected 2 machines, found 1", "missing: 1"]);
    let _busy = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    alone("0").expect(1, &[&format!("port {port}: expected a free one, found it busy")]);
}

#[test]
fn a_machine_that_does_not_fit_is_refused() {
    let place = Place::new();
    let port = free_port();
    let flags = |nnodes: &'static str, rank: &'static str| {
        let port = port.clone();
        let fixed = ["--nnodes", nnodes, "--node-rank", rank, "--master-addr", "127.0.0.1"];
        let all = [fixed.as_slice(), &["--master-port", &port, "--join-timeout", "50"]].concat();
        all.iter().map(|flag| (*flag).to_owned()).collect::<Vec<String>>()
    };
    let start = |name, flags: Vec<String>, script| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        place.start(name, &flags, script)
    };
    let first = start("m0", flags("2", "0"), "true");
    let wrong = start("wrong", flags("3", "2"), "true").wait();
    wrong.expect(1, &["machine 2 cannot join: expected --nnodes 2, found 3"]);
    let second = start("m1", flags("2", "1"), "true");
    first.wait().expect(0, &["machine 2 is refused"]);
    second.wait().expect(0, &[]);
}
