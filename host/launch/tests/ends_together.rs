//! Jobs that are asked to end, or fail, at one place: they end everywhere, with the same reason.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use launcher::{
    Ended, Place, Running, free_port, is_alive, send, start_of_three, start_two, until,
};

/// Ranks that answer as trainers do.
const ANSWER: &str = "trap 'exit 75' TERM; trap 'exit 130' INT; trap 'exit 131' QUIT; \
    echo $$ > pid.$RANK; while true; do sleep 0.02; done";

/// Starts two machines with a restart left, and waits for their ranks.
fn two(place: &Place, script: &str) -> ([Running; 2], [u32; 4]) {
    let flags = ["--max-restarts", "1", "--grace", "50"];
    let both = start_two(place, &flags, script);
    (both, [0, 1, 2, 3].map(|rank| place.process(&format!("pid.{rank}"))))
}

#[track_caller]
fn expect_no_restart(ended: &Ended) {
    assert!(!ended.stderr.contains("restart 1 of 1"), "{}", ended.stderr);
}

#[test]
fn a_signal_to_one_launcher_ends_the_job_on_all_machines() {
    for (signal, code, words) in [
        ("-INT", 130, "ended by SIGINT, as somebody asked (exit code 130)"),
        ("-QUIT", 131, "ended by SIGQUIT, as somebody asked (exit code 131)"),
        ("-TERM", 75, "all ranks ended as they were asked to"),
    ] {
        for machine in [0, 1] {
            let place = Place::new();
            let (both, _) = two(&place, ANSWER);
            send(both[machine].id(), signal);
            for ended in both.map(Running::wait) {
                ended.expect(code, &[words]);
                expect_no_restart(&ended);
            }
        }
    }
}

#[test]
fn a_signal_to_one_launcher_ends_programs_that_know_no_answer() {
    for machine in [0, 1] {
        let place = Place::new();
        let (both, _) = two(&place, "echo $$ > pid.$RANK; exec sleep 600");
        send(both[machine].id(), "-TERM");
        for ended in both.map(Running::wait) {
            ended.expect(143, &["ended by SIGTERM, as somebody asked"]);
        }
    }
}

#[test]
fn a_job_that_was_asked_to_end_is_not_started_again_where_ranks_answer_with_a_failure() {
    let place = Place::new();
    let script = "trap 'exit 1' TERM; echo $$ > pid.$RANK; while true; do sleep 0.02; done";
    let (both, _) = two(&place, script);
    send(both[1].id(), "-TERM");
    for ended in both.map(Running::wait) {
        ended.expect(1, &["failed: rank", "ended with exit code 1"]);
        expect_no_restart(&ended);
    }
}

#[test]
fn a_second_interrupt_kills_the_ranks_of_all_machines() {
    let place = Place::new();
    let script = "trap 'echo > heard.$RANK' INT; \
        echo $$ > pid.$RANK; while true; do sleep 0.02; done";
    let (both, _) = two(&place, script);
    send(both[1].id(), "-INT");
    place.await_files(&["heard.0", "heard.1", "heard.2", "heard.3"]);
    send(both[1].id(), "-INT");
    for ended in both.map(Running::wait) {
        ended.expect(130, &["SIGINT again: killing 2 ranks", "ended by SIGINT"]);
    }
}

#[test]
fn an_interrupt_of_one_rank_ends_the_job() {
    let place = Place::new();
    let flags = ["--nproc-per-node", "2", "--max-restarts", "1"];
    let one = place.start("one", &flags, ANSWER);
    let ranks = [0, 1].map(|rank| place.process(&format!("pid.{rank}")));
    send(ranks[1], "-INT");
    let ended = one.wait();
    ended.expect(130, &["rank 1 ended with exit code 130: the job was interrupted", "ended by"]);
    expect_no_restart(&ended);

    let place = Place::new();
    let (both, ranks) = two(&place, ANSWER);
    send(ranks[3], "-INT");
    for ended in both.map(Running::wait) {
        ended.expect(130, &["ended by SIGINT"]);
        expect_no_restart(&ended);
    }
}

#[test]
fn a_failed_job_that_is_asked_to_end_meanwhile_is_not_started_again() {
    let place = Place::new();
    let script = "[ $RANK -ge 2 ] && \
        trap 'echo > heard.$RANK; while [ ! -f go ]; do sleep 0.02; done; exit 3' TERM; \
        echo $$ > pid.$RANK; \
        if [ $RANK = 0 ]; then while [ ! -f heard.3 ]; do \
        [ -s pid.1 -a -s pid.2 -a -s pid.3 ] && exit 9; sleep 0.02; done; fi; \
        [ $RANK = 1 ] && exec sleep 600; \
        while true; do sleep 0.02; done";
    let (both, ranks) = two(&place, script);
    place.await_files(&["heard.2", "heard.3"]);
    until("the end of machine 0's ranks", || !ranks[..2].iter().any(|rank| is_alive(*rank)));
    both.iter().for_each(|running| send(running.id(), "-TERM"));
    for running in &both {
        until("a word on the signal", || running.stderr().contains("SIGTERM"));
    }
    std::fs::write(place.path("go"), "").unwrap();
    for ended in both.map(Running::wait) {
        ended.expect(9, &["failed: rank 0 ended with exit code 9"]);
        expect_no_restart(&ended);
    }
}

#[test]
fn a_failure_is_told_of_the_rank_that_the_others_follow_on_all_machines() {
    for cause in [0, 3] {
        let place = Place::new();
        let script = format!(
            "echo $$ > pid.$RANK; if [ $RANK = {cause} ]; then \
            while [ ! -f go ]; do sleep 0.02; done; echo 'error: here' >&2; exit 3; fi; \
            while [ ! -s pid.{cause} ]; do sleep 0.02; done; \
            echo 'error: rank {cause} failed, and the run ends on every rank' >&2; exit 3"
        );
        let both = start_two(&place, &[], &script);
        let ranks = [0, 1, 2, 3].map(|rank| place.process(&format!("pid.{rank}")));
        let others = || (0..4).filter(|rank| *rank != cause).map(|rank| ranks[rank]);
        until("the end of the others", || !others().any(is_alive));
        std::fs::write(place.path("go"), "").unwrap();
        for ended in both.map(Running::wait) {
            let reason = format!("rank {cause} ended with exit code 3");
            ended.expect(3, &["error: here", &format!("failed: {reason}")]);
            let headline = ended.stderr.lines().find(|line| line.contains("ended with")).unwrap();
            assert!(headline.ends_with(&reason), "{headline}");
        }
    }
}

#[test]
fn machines_that_fail_at_once_end_with_the_same_reason() {
    let place = Place::new();
    let script = "echo $$ > pid.$RANK; while [ ! -f go ]; do sleep 0.02; done; exit $((4 + RANK))";
    let both = start_two(&place, &[], script);
    let names = [0, 1, 2, 3].map(|rank| format!("pid.{rank}"));
    place.await_files(&names.each_ref().map(String::as_str));
    std::fs::write(place.path("go"), "").unwrap();
    let [first, second] = both.map(Running::wait);
    assert!(first.last_line().contains("failed: rank "), "{}", first.stderr);
    assert_eq!(first.last_line(), second.last_line(), "{}\n{}", first.stderr, second.stderr);
    assert_eq!(first.code, second.code);
}

#[test]
fn a_wish_for_the_end_between_two_rounds_ends_the_job_on_all_machines() {
    let place = Place::new();
    let port = free_port();
    let script = "echo $$ > pid.$RANK; exec sleep 600";
    let [first, second, third] = [0, 1, 2]
        .map(|machine| start_of_three(&place, machine, &port, &["--max-restarts", "1"], script));
    for rank in 0..3 {
        place.process(&format!("pid.{rank}"));
    }
    send(third.id(), "-KILL");
    let words = "to come again";
    until(words, || [&first, &second].iter().all(|one| one.stderr().contains(words)));
    send(second.id(), "-TERM");
    first.wait().expect(143, &["ended by SIGTERM before the ranks were started"]);
    let waits = "machine 1 waits: for machine 2 to come again";
    second.wait().expect(143, &[waits, "ended by SIGTERM before the ranks were started"]);
}
