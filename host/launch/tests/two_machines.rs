//! Jobs on two machines, which are two launchers on the loopback address: they meet, fail together and start again
//! together.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::net::TcpListener;

use launcher::{Place, Running, free_port, is_alive, send, start_two as start, until};

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
        if [ $RANK = 3 -a $TORCHELASTIC_RESTART_COUNT = 0 ]; then \
        while [ ! -s starts.0 -o ! -s starts.1 -o ! -s starts.2 ]; do sleep 0.01; done; exit 9; fi; \
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
    let [second, first] = start_half(&place, 1, "trap 'exit 75' TERM");
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

/// Ranks of one machine that are done at once, and of the other one that wait for signals.
fn half(done: u32, answer: &str) -> String {
    format!(
        "echo $$ > pid.$RANK; [ $GROUP_RANK = {done} ] && exit 0; \
        {answer}; echo > ready.$RANK; while true; do sleep 0.02; done"
    )
}

/// Starts them, and waits until the ranks of one machine have ended: that machine first.
fn start_half(place: &Place, done: u32, answer: &str) -> [Running; 2] {
    let [first, second] = start(place, &[], &half(done, answer));
    for rank in 0..4 {
        let process = place.process(&format!("pid.{rank}"));
        match rank / 2 == done {
            true => until("the end of a rank", || !is_alive(process)),
            false => place.await_files(&[&format!("ready.{rank}")]),
        }
    }
    if done == 0 { [first, second] } else { [second, first] }
}

#[test]
fn a_machine_whose_ranks_have_ended_passes_a_wish_for_the_end_on() {
    for done in [0, 1] {
        let place = Place::new();
        let [asked, other] = start_half(&place, done, "trap 'exit 75' TERM");
        send(asked.id(), "-TERM");
        asked.wait().expect(75, &["SIGTERM: the ranks of this machine have ended; passed on to"]);
        other.wait().expect(75, &["SIGTERM of another machine: passed on to 2 ranks"]);
    }
}

#[test]
fn a_second_interrupt_ends_all_at_once_where_the_ranks_have_ended() {
    for done in [0, 1] {
        let place = Place::new();
        // What holds the output of ranks open lets them end later than the launcher that was interrupted.
        std::fs::write(place.path("hold"), "").unwrap();
        let hold = "setsid sh -c 'while [ -f hold ]; do sleep 0.02; done' &";
        let [asked, other] =
            start_half(&place, done, &format!("{hold} trap 'echo > heard.$RANK' INT"));
        send(asked.id(), "-INT");
        let heard = [0, 1].map(|local| format!("heard.{}", 2 * (1 - done) + local));
        place.await_files(&heard.each_ref().map(String::as_str));
        send(asked.id(), "-INT");
        for (running, said) in [(asked, "ending at once"), (other, "killing 2 ranks")] {
            let ended = running.wait();
            ended.expect(130, &[&format!("SIGINT again: {said}")]);
            let last = "snaphook launch: ended by SIGINT, as somebody asked (exit code 130)";
            assert_eq!(ended.last_line(), last, "{}", ended.stderr);
        }
    }
}

#[test]
fn whoever_asks_all_machines_asks_each_rank_once() {
    let place = Place::new();
    let answer = "trap 'echo heard >> heard.$RANK' INT; trap : USR2";
    let [asked, other] = start_half(&place, 1, answer);
    send(asked.id(), "-INT");
    until("ranks that heard it", || {
        ["heard.0", "heard.1"].iter().all(|name| place.read(name) == "heard\n")
    });
    // Another signal in between makes no second interrupt of the first one here.
    send(other.id(), "-USR2");
    other.await_words("SIGUSR2: passed on to 2 ranks");
    send(other.id(), "-INT");
    other.await_words("SIGINT: was passed on already");
    send(other.id(), "-INT");
    for ended in [asked, other].map(Running::wait) {
        ended.expect(130, &[]);
    }
    assert_eq!(place.read("heard.0"), "heard\n");
}

#[test]
fn a_machine_that_cannot_start_its_ranks_tells_the_others_why() {
    for failing in [0, 1] {
        let place = Place::new();
        let log = format!("m{failing}/rank_{}.log", 2 * failing);
        std::fs::create_dir_all(place.path(&log)).unwrap();
        let [first, second] = start(&place, &["--max-restarts", "2"], WAITING);
        let (broken, other) = if failing == 0 { (first, second) } else { (second, first) };
        let reason = format!("{log}: cannot be written");
        broken.wait().expect(1, &[&reason, "Is a directory"]);
        let told = format!("failed: machine {failing} cannot start its ranks: {reason}: Is a");
        other.wait().expect(1, &[&told]);
    }
}

#[test]
fn a_machine_without_a_log_folder_tells_the_others_why() {
    let place = Place::new();
    std::fs::write(place.path("m1"), "").unwrap();
    let [first, second] = start(&place, &[], WAITING).map(Running::wait);
    second.expect(1, &["m1: cannot be written"]);
    first.expect(1, &["machine 1 cannot start its ranks: m1: cannot be written: File exists"]);
}

#[test]
fn several_machines_do_not_take_the_port_of_another_job() {
    let place = Place::new();
    let port = free_port();
    let script = "echo $MASTER_PORT > port; while [ ! -f go ]; do sleep 0.01; done";
    let one = place.start("one", &["--standalone", "--master-port", &port], script);
    assert_eq!(place.process("port").to_string(), port);
    let flags = ["--nnodes", "2", "--node-rank", "0", "--master-addr", "127.0.0.1"];
    let several = place.run(&[flags.as_slice(), &["--master-port", &port]].concat(), "true");
    several.expect(1, &[&format!("port {port}: expected a free one, found it busy")]);
    std::fs::write(place.path("go"), "").unwrap();
    one.wait().expect(0, &[]);
}
