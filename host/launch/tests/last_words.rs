//! What the launchers of a job say last: all the same, and of what happened first.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use launcher::{
    Ended, Place, Running, free_port, is_alive, send, start_of_three, start_two, until,
};

#[track_caller]
fn expect_last(ended: &Ended, code: i32, words: &str) {
    let last = format!("snaphook launch: {words} (exit code {code})");
    assert_eq!((ended.last_line(), ended.code), (last.as_str(), code), "{}", ended.stderr);
}

/// Two machines, whose ranks have ended on this one, as both know, and wait for `go` on the other, after this.
fn half(place: &Place, done: usize, flags: &[&str], others: &str) -> [Running; 2] {
    let script = format!(
        "echo $$ > pid.$RANK; [ $GROUP_RANK = {done} -o $TORCHELASTIC_RESTART_COUNT != 0 ] && exit 0; \
        trap 'echo > heard' USR2; echo > ready.$RANK; \
        {others} while [ ! -f go ]; do sleep 0.02; done; exit 9"
    );
    let both = start_two(place, flags, &script);
    let ranks = [0, 1, 2, 3].map(|rank| place.process(&format!("pid.{rank}")));
    let others = [0, 1].map(|local| format!("ready.{}", 2 * (1 - done) + local));
    place.await_files(&others.each_ref().map(String::as_str));
    let ranks = &ranks[2 * done..2 * done + 2];
    until("the end of ranks", || !ranks.iter().any(|rank| is_alive(*rank)));
    // A signal that asks for nothing tells when the other machine knows.
    until("a word", || {
        send(both[done].id(), "-USR2");
        let words = "SIGUSR2: the ranks of this machine have ended; waiting for ";
        both[done].stderr().contains(words)
    });
    both
}

#[test]
fn a_machine_whose_ranks_are_done_says_why_the_job_failed() {
    for done in [0, 1] {
        let place = Place::new();
        let others = "[ $LOCAL_RANK = 1 ] && exec sleep 600;";
        let both = half(&place, done, &[], others);
        std::fs::write(place.path("go"), "").unwrap();
        let failed = 2 * (1 - done);
        for ended in both.map(Running::wait) {
            expect_last(&ended, 9, &format!("failed: rank {failed} ended with exit code 9"));
        }
    }
}

#[test]
fn a_machine_whose_ranks_are_done_says_that_the_job_was_asked_to_end() {
    for done in [0, 1] {
        let place = Place::new();
        let both = half(&place, done, &[], "exec sleep 600;");
        send(both[1 - done].id(), "-TERM");
        for ended in both.map(Running::wait) {
            expect_last(&ended, 143, "ended by SIGTERM, as somebody asked");
        }
    }
}

#[test]
fn machines_that_were_asked_to_end_with_several_signals_say_the_one_that_counts() {
    let place = Place::new();
    let port = free_port();
    let script = "[ $RANK = 2 ] && trap 'echo > heard' TERM || trap 'exit 75' TERM; \
        trap 'exit 130' INT; echo $$ > pid.$RANK; while true; do sleep 0.02; done";
    let all = [0, 1, 2].map(|machine| start_of_three(&place, machine, &port, &[], script));
    let ranks = [0, 1, 2].map(|rank| place.process(&format!("pid.{rank}")));
    send(all[1].id(), "-TERM");
    place.await_files(&["heard"]);
    until("the end of ranks", || !ranks[..2].iter().any(|rank| is_alive(*rank)));
    send(all[2].id(), "-INT");
    for ended in all.map(Running::wait) {
        expect_last(&ended, 130, "ended by SIGINT, as somebody asked");
    }
}

#[test]
fn what_machine_1_knows_already_is_not_replaced_by_the_loss_of_machine_0() {
    for failing in [0, 3] {
        let place = Place::new();
        let script = format!(
            "trap 'while [ ! -f go ]; do sleep 0.02; done; exit 1' TERM; echo $$ > pid.$RANK; \
            if [ $RANK = {failing} ]; then while [ ! -f fail ]; do sleep 0.02; done; exit 9; fi; \
            while true; do sleep 0.02; done"
        );
        let [first, second] = start_two(&place, &["--grace", "50"], &script);
        for rank in 0..4 {
            place.process(&format!("pid.{rank}"));
        }
        std::fs::write(place.path("fail"), "").unwrap();
        let reason = format!("rank {failing} ended with exit code 9");
        second.await_words(&reason);
        send(first.id(), "-KILL");
        first.wait().expect(137, &[]);
        std::fs::write(place.path("go"), "").unwrap();
        let ended = second.wait();
        expect_last(&ended, 9, &format!("failed: {reason}"));
        let lost = "snaphook launch: the launcher of machine 0 is gone: ";
        assert_eq!(ended.stderr.matches(lost).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_signal_of_no_end_stays_on_its_machine_where_the_ranks_have_ended() {
    for done in [0, 1] {
        let place = Place::new();
        let both = half(&place, done, &["--max-restarts", "1"], "");
        std::fs::write(place.path("go"), "").unwrap();
        for ended in both.map(Running::wait) {
            ended.expect(0, &["restart 1 of 1"]);
        }
        assert!(!place.path("heard").exists());
    }
}
