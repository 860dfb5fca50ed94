//! Launchers of one job that die and are started again, or start one too many: the others go on with them, or say why not.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use launcher::{Place, Running, free_port, send, start_machine, until};

/// Ranks that need a moment to end, and after a restart are done. Those of an earlier launch have ended when `go` is there.
const SLOW: &str = "[ -f second -o $TORCHELASTIC_RESTART_COUNT -gt 0 ] && exit 0; \
    trap 'while [ ! -f go ]; do sleep 0.02; done; exit 1' TERM; echo $$ > pid.$RANK; while true; do sleep 0.02; done";

/// Both launchers of a job, whose ranks run.
struct Two {
    place: Place,
    port: String,
    flags: Vec<&'static str>,
}

impl Two {
    fn new(flags: &[&'static str]) -> Two {
        Two { place: Place::new(), port: free_port(), flags: flags.to_vec() }
    }

    fn start(&self, name: &str, machine: u32) -> Running {
        start_machine(&self.place, name, (machine, &self.port), &self.flags, SLOW)
    }

    fn both(&self) -> [Running; 2] {
        let both = [self.start("m0", 0), self.start("m1", 1)];
        (0..4).for_each(|rank| {
            self.place.process(&format!("pid.{rank}"));
        });
        both
    }

    fn let_ranks_end(&self) {
        std::fs::write(self.place.path("go"), "").unwrap();
    }
}

fn await_words(running: &Running, words: &str) {
    until(words, || running.stderr().contains(words));
}

#[test]
fn a_machine_that_comes_again_takes_part_in_the_next_round() {
    for comes_before_the_end in [true, false] {
        let job = Two::new(&["--max-restarts", "1", "--grace", "50"]);
        let [first, second] = job.both();
        send(second.id(), "-KILL");
        second.wait().expect(137, &[]);
        await_words(&first, "the launcher of machine 1 is gone");
        let again = comes_before_the_end.then(|| job.start("again", 1));
        if comes_before_the_end {
            await_words(&first, "machine 1 came again and waits");
        }
        job.let_ranks_end();
        let again = again.unwrap_or_else(|| {
            await_words(&first, "waiting at 127.0.0.1");
            job.start("again", 1)
        });
        first.wait().expect(0, &["restart 1 of 1"]);
        again.wait().expect(0, &["ranks 2 to 3 of 4"]);
        assert!(job.place.path("again/rank_3.restart_1.log").is_file(), "as the others count");
    }
}

#[test]
fn a_machine_that_comes_to_a_job_without_restarts_hears_why_it_ends() {
    let job = Two::new(&["--grace", "50", "--peer-timeout", "600"]);
    let [first, second] = job.both();
    send(second.id(), "-KILL");
    second.wait().expect(137, &[]);
    await_words(&first, "the launcher of machine 1 is gone");
    let again = job.start("again", 1);
    await_words(&first, "machine 1 came again and waits: the ranks of the others");
    let one_more = job.start("more", 1);
    await_words(&first, "machine 1 came again and waits: another launcher of it");
    job.let_ranks_end();
    let reason = "the launcher of machine 1 is gone";
    first.wait().expect(3, &[reason]);
    again.wait().expect(3, &["the job is over: the launcher of machine 1 is gone"]);
    one_more.wait().expect(3, &["the job is over: the launcher of machine 1 is gone"]);
}

#[test]
fn machine_0_that_comes_again_goes_on_with_the_others() {
    for comes_before_the_end in [true, false] {
        let job = Two::new(&["--max-restarts", "1", "--grace", "50"]);
        let [first, second] = job.both();
        send(first.id(), "-KILL");
        first.wait().expect(137, &[]);
        await_words(&second, "the launcher of machine 0 is gone");
        let again = comes_before_the_end.then(|| job.start("again", 0));
        if let Some(again) = &again {
            await_words(again, "waiting at 127.0.0.1");
        }
        job.let_ranks_end();
        let again = again.unwrap_or_else(|| {
            await_words(&second, "looking for it again");
            job.start("again", 0)
        });
        second.wait().expect(0, &["restart 1 of 1"]);
        again.wait().expect(0, &["restart 1: the job goes on"]);
        assert!(job.place.path("again/rank_0.restart_1.log").is_file(), "as the others count");
    }
}

#[test]
fn without_restarts_a_machine_ends_when_machine_0_comes_again() {
    let job = Two::new(&["--grace", "50", "--join-timeout", "1"]);
    let [first, second] = job.both();
    send(first.id(), "-KILL");
    first.wait().expect(137, &[]);
    await_words(&second, "the launcher of machine 0 is gone");
    let again = job.start("again", 0);
    job.let_ranks_end();
    second.wait().expect(3, &["failed: the launcher of machine 0 is gone"]);
    again.wait().expect(1, &["expected 2 machines, found 1"]);
}

#[test]
fn both_that_come_again_begin_anew() {
    let job = Two::new(&["--max-restarts", "1", "--grace", "50"]);
    for running in job.both() {
        send(running.id(), "-KILL");
        running.wait().expect(137, &[]);
    }
    std::fs::write(job.place.path("second"), "").unwrap();
    let [first, second] = [0, 1].map(|machine| job.start(&format!("again{machine}"), machine));
    for ended in [first.wait(), second.wait()] {
        ended.expect(0, &[]);
        assert!(!ended.stderr.contains("restart"), "{}", ended.stderr);
    }
}

#[test]
fn a_machine_that_is_lost_for_good_ends_the_job_with_the_first_reason() {
    for lost in [0, 1] {
        let job = Two::new(&["--max-restarts", "1", "--join-timeout", "0.5"]);
        let [first, second] = job.both();
        job.let_ranks_end();
        let (victim, other) = if lost == 0 { (first, second) } else { (second, first) };
        send(victim.id(), "-KILL");
        let reason = format!("failed: the launcher of machine {lost} is gone");
        other.wait().expect(3, &["not started again: expected", &reason]);
    }
}

#[test]
fn a_machine_comes_again_when_the_other_one_of_its_number_says_nothing_more() {
    let job = Two::new(&["--max-restarts", "1", "--peer-timeout", "5"]);
    let [first, second] = job.both();
    send(second.id(), "-STOP");
    let again = job.start("again", 1);
    job.let_ranks_end();
    first.wait().expect(0, &["machine 1 came again and waits", "nothing was heard of it"]);
    again.wait().expect(0, &["machine 1 waits: another launcher of it is connected"]);
    drop(second);
}

#[test]
fn a_second_launcher_of_a_machine_that_is_there_is_refused() {
    let job = Two::new(&["--peer-timeout", "6"]);
    let [first, second] = job.both();
    let other = job.start("other", 1);
    other.wait().expect(1, &["node rank 1 is taken by another machine"]);
    job.let_ranks_end();
    send(first.id(), "-TERM");
    first.wait().expect(1, &["machine 1 is refused"]);
    second.wait().expect(1, &[]);
}
