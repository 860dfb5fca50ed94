//! Jobs of plain shell scripts on one machine: what ranks are told, how they end together, and that none is left.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::time::{Duration, Instant};

use launcher::{Place, guard, is_alive, is_stopped, not_run, send, until};

/// A rank that says that it is there, and waits for signals.
const WAITING: &str = "echo $$ > pid.$RANK; sleep 600 & echo $! > child.$RANK; wait";

#[test]
fn ranks_are_told_their_place_and_logged_and_the_first_is_shown() {
    let place = Place::new();
    let script = "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR $OMP_NUM_THREADS; \
        echo to stderr $RANK >&2; echo $MASTER_PORT > port.$RANK";
    let ended = place.run(&["--nproc-per-node", "3"], script);
    ended.expect(0, &["3 ranks at 127.0.0.1:", "OMP_NUM_THREADS", "to stderr 0"]);
    assert_eq!(ended.stdout, "0 0 3 3 127.0.0.1 1\n");
    assert!(!ended.stderr.contains("to stderr 1"), "{}", ended.stderr);
    for rank in 0..3 {
        let log = place.read(&format!("logs/rank_{rank}.log"));
        assert!(log.contains(&format!("{rank} {rank} 3 3 127.0.0.1 1\n")), "{log}");
        assert!(log.contains(&format!("to stderr {rank}\n")), "{log}");
        assert_eq!(place.read("port.0"), place.read(&format!("port.{rank}")));
    }
}

#[test]
fn the_terminal_shows_the_ranks_that_were_asked_for() {
    let place = Place::new();
    let script = "echo out $RANK; printf 'err without an end' >&2";
    let ended = place.run(&["--nproc-per-node", "2", "--tee", "0:1,1:2"], script);
    ended.expect(0, &["[rank 1] err without an end\n"]);
    assert_eq!(ended.stdout, "[rank 0] out 0\n");
    assert_eq!(place.read("logs/rank_1.log").lines().count(), 2);
}

#[test]
fn a_progress_bar_is_shown_while_it_grows() {
    let place = Place::new();
    // Rank 1 begins when the bar of rank 0 is shown.
    let script = "while [ $RANK = 1 -a ! -f go.bar ]; do sleep 0.01; done; printf '10%%\\r'; \
        while [ ! -f go.$RANK ]; do sleep 0.01; done; printf '20%%\\r'; echo end";
    let running = place.start("logs", &["--nproc-per-node", "2", "--tee", "1"], script);
    let shows = |text: &str| until(text, || place.read("logs.out").contains(text));
    shows("[rank 0] 10%\r");
    std::fs::write(place.path("go.bar"), "").unwrap();
    shows("[rank 1] 10%\r");
    std::fs::write(place.path("go.0"), "").unwrap();
    shows("[rank 0] end\n");
    std::fs::write(place.path("go.1"), "").unwrap();
    let ended = running.wait();
    ended.expect(0, &[]);
    for rank in 0..2 {
        assert_eq!(place.read(&format!("logs/rank_{rank}.log")), "10%\r20%\rend\n");
    }
    // Each bar has a line of its own, until its rank goes on.
    assert!(ended.stdout.contains("10%\r\n[rank "), "{:?}", ended.stdout);
}

#[test]
fn the_first_rank_that_fails_ends_all_and_is_named_first() {
    let place = Place::new();
    let script = "if [ $RANK = 1 ]; then while [ ! -f pid.0 -o ! -f pid.2 ]; do sleep 0.01; done; \
        echo 'error: no such picture' >&2; exit 3; fi; \
        trap 'echo rank $RANK complains >&2; exit 1' TERM; echo $$ > pid.$RANK; sleep 600 & wait";
    let ended = place.run(&["--nproc-per-node", "3"], script);
    ended.expect(3, &["rank 1 ended with exit code 3", "error: no such picture", "ending 2 ranks"]);
    let reason = ended.stderr.find("no such picture").unwrap();
    assert!(reason < ended.stderr.find("rank 0 complains").unwrap(), "{}", ended.stderr);
    assert!(
        ended.stderr.trim_end().ends_with("failed: rank 1 ended with exit code 3 (exit code 3)")
    );
    assert!(place.read("logs/rank_2.log").contains("rank 2 complains"));
}

#[test]
fn a_rank_that_others_name_is_the_one_that_failed() {
    let place = Place::new();
    let words = "error: a.py: rank 0 failed, and the run ends on every rank: no such picture";
    let script = format!(
        "if [ $RANK = 1 ]; then echo '{words}' >&2; exit 3; fi; sleep 0.5; echo 'error: no such picture' >&2; exit 1"
    );
    let ended = place.run(&["--nproc-per-node", "2"], &script);
    ended.expect(1, &["rank 0 ended with exit code 1", "failed: rank 0 ended with exit code 1"]);

    // One that does not end is not waited for longer than a moment.
    let script = format!("if [ $RANK = 1 ]; then echo '{words}' >&2; exit 3; fi; sleep 600 & wait");
    let ended = place.run(&["--nproc-per-node", "2", "--grace", "1"], &script);
    ended.expect(3, &["rank 1 ended with exit code 3", "rank 0 failed"]);
}

#[test]
fn a_rank_that_is_killed_is_told_with_its_signal() {
    let place = Place::new();
    let running = place.start("logs", &["--nproc-per-node", "2"], WAITING);
    place.process("child.0");
    place.process("child.1");
    send(place.process("pid.1"), "-KILL");
    running.wait().expect(137, &["rank 1 was ended by SIGKILL"]);
    for name in ["pid.0", "child.0", "child.1"] {
        let process = place.process(name);
        until(name, || !is_alive(process));
    }
}

#[test]
fn a_rank_that_does_not_end_by_itself_or_is_stopped_is_killed() {
    let place = Place::new();
    let script = "trap '' TERM; echo $$ > pid.$RANK; \
        if [ $RANK = 2 ]; then while [ ! -f go ]; do sleep 0.01; done; exit 5; fi; \
        while true; do sleep 600; done";
    let flags = ["--nproc-per-node", "3", "--grace", "0.3"];
    let running = place.start("logs", &flags, script);
    let stopped = place.process("pid.0");
    place.process("pid.1");
    send(stopped, "-STOP");
    std::fs::write(place.path("go"), "").unwrap();
    running.wait().expect(5, &["rank 2 ended with exit code 5", "killed: rank 0, 1"]);
    assert!(!is_alive(stopped));
}

#[test]
fn signals_reach_all_ranks_and_their_answers_make_the_exit_code() {
    for (signal, code) in [("TERM", 75), ("USR1", 75), ("INT", 130)] {
        let place = Place::new();
        let script = format!(
            "trap 'echo saved >> heard.$RANK; exit {code}' {signal}; echo $$ > pid.$RANK; sleep 600 & wait"
        );
        let running = place.start("logs", &["--nproc-per-node", "2"], &script);
        place.process("pid.0");
        place.process("pid.1");
        send(running.id(), &format!("-{signal}"));
        running.wait().expect(code, &[&format!("SIG{signal}: passed on to 2 ranks")]);
        assert_eq!(place.read("heard.0") + &place.read("heard.1"), "saved\nsaved\n");
    }
}

/// Ranks that say that they are there, and end with 75 when they are asked to; rank 1 does not hear of anything while it is
/// stopped.
const SAVING: &str = "trap 'exit 75' TERM; echo $$ > pid.$RANK; while true; do sleep 0.02; done";

#[test]
fn a_stopped_rank_goes_on_when_the_job_is_asked_to_end() {
    let place = Place::new();
    let running = place.start("logs", &["--nproc-per-node", "2"], SAVING);
    let stopped = place.process("pid.1");
    place.process("pid.0");
    send(stopped, "-STOP");
    until("its stop", || is_stopped(stopped));
    send(running.id(), "-TERM");
    running.wait().expect(75, &["SIGTERM: passed on to 2 ranks", "rank 1 is stopped: let go on"]);
    assert!(!is_alive(stopped));
}

#[test]
fn a_rank_that_stays_stopped_is_killed_after_the_grace_and_told() {
    let place = Place::new();
    let script = format!("if [ $RANK = 1 ]; then {STOPS_ITSELF}; fi; {SAVING}");
    let running = place.start("logs", &["--nproc-per-node", "2", "--grace", "0.5"], &script);
    let stopped = place.process("pid.1");
    place.process("pid.0");
    send(running.id(), "-TERM");
    let words = "rank 1 was stopped for 0.5 s after SIGTERM (--grace): killed";
    running.wait().expect(137, &[words, &format!("failed: {words} (exit code 137)")]);
    assert!(!is_alive(stopped));
}

/// As under a debugger: whatever it is told, it stops again.
const STOPS_ITSELF: &str = "trap 'while true; do kill -STOP $$; done' TERM; echo $$ > pid.1; while true; do sleep 0.02; done";

#[test]
fn a_stopped_rank_is_told_with_the_first_reason() {
    let place = Place::new();
    let script = "echo $$ > pid.$RANK; while [ $RANK = 1 -o ! -f go ]; do sleep 0.02; done; exit 3";
    let running = place.start("logs", &["--nproc-per-node", "2", "--grace", "0.5"], script);
    let stopped = place.process("pid.1");
    place.process("pid.0");
    send(stopped, "-STOP");
    until("its stop", || is_stopped(stopped));
    std::fs::write(place.path("go"), "").unwrap();
    let ended = running.wait();
    ended.expect(3, &["rank 0 ended with exit code 3, and these stand still: rank 1: "]);
    let reason = ended.stderr.lines().find(|line| line.contains("rank 0 ended")).unwrap();
    assert!(reason.contains("its process is stopped"), "{reason}");
}

#[test]
fn a_program_that_knows_no_signals_ends_by_them() {
    let place = Place::new();
    let running =
        place.start("logs", &["--nproc-per-node", "2"], "echo $$ > pid.$RANK; exec sleep 600");
    place.process("pid.0");
    place.process("pid.1");
    send(running.id(), "-TERM");
    let ended = running.wait();
    ended.expect(143, &[]);
    assert!(!ended.stderr.contains("failed"), "{}", ended.stderr);
}

#[test]
fn a_second_interrupt_ends_at_once_what_does_not_listen() {
    let place = Place::new();
    let script =
        "trap 'echo heard > heard.$RANK' INT; echo $$ > pid.$RANK; while true; do sleep 0.01; done";
    let running = place.start("logs", &["--nproc-per-node", "2", "--grace", "600"], script);
    let pids = [place.process("pid.0"), place.process("pid.1")];
    send(running.id(), "-INT");
    place.await_files(&["heard.0", "heard.1"]);
    send(running.id(), "-INT");
    running.wait().expect(130, &["SIGINT again: killing 2 ranks"]);
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn ctrl_c_in_a_terminal_reaches_each_rank_once() {
    let place = Place::new();
    let script = "trap 'echo heard >> heard.$RANK' INT; echo $$ > pid.$RANK; \
        while [ ! -f go ]; do sleep 0.01; done; exit 130";
    std::fs::write(place.path("rank.sh"), script).unwrap();
    let launcher = env!("CARGO_BIN_EXE_snaphook-launch");
    let line = format!("{launcher} --nproc-per-node 2 --log-dir logs -- sh rank.sh");
    let mut command = std::process::Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "typescript"]);
    command.env("SHELL", "/bin/sh");
    if !std::path::Path::new("/usr/bin/script").exists() {
        return not_run("there is no program `script`, which gives a terminal");
    }
    let mut running = place.start_command_with("terminal", command, std::process::Stdio::piped());
    place.process("pid.0");
    place.process("pid.1");
    running.type_in(b"\x03");
    place.await_files(&["heard.0", "heard.1"]);
    std::fs::write(place.path("go"), "").unwrap();
    let ended = running.wait();
    assert_eq!(ended.code, 130, "{}", ended.stdout);
    assert!(ended.stdout.contains("SIGINT: passed on to 2 ranks"), "{}", ended.stdout);
    assert_eq!(place.read("heard.0") + &place.read("heard.1"), "heard\nheard\n");
}

/// SLURM's `--signal` reaches every process of a step.
#[test]
fn a_signal_to_all_processes_of_a_job_leaves_the_guard() {
    let place = Place::new();
    let script = "trap 'echo > heard.$RANK' USR1; echo $$ > pid.$RANK; sleep 600 & echo $! > child.$RANK; \
        while true; do sleep 0.02; done";
    let running = place.start("logs", &["--nproc-per-node", "2"], script);
    let pids = ["pid.0", "pid.1"].map(|name| place.process(name));
    // Their launcher's death does not reach these by itself.
    let left = ["child.0", "child.1"].map(|name| place.process(name));
    let guard = guard(running.id());
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT", "-USR1", "-USR2"] {
        send(guard, signal);
    }
    pids.iter().chain([&running.id()]).for_each(|process| send(*process, "-USR1"));
    place.await_files(&["heard.0", "heard.1"]);
    until("a word", || running.stderr().contains("SIGUSR1: passed on to 2 ranks"));
    send(running.id(), "-KILL");
    running.wait().expect(137, &[]);
    until("the end of all", || !left.iter().chain(&pids).any(|process| is_alive(*process)));
}

#[test]
fn one_rank_that_saves_lets_the_others_save_too() {
    let place = Place::new();
    let script =
        "trap 'echo saved > saved.$RANK; exit 75' TERM; echo $$ > pid.$RANK; sleep 600 & wait";
    let running = place.start("logs", &["--nproc-per-node", "3"], script);
    let pids = [0, 1, 2].map(|rank| place.process(&format!("pid.{rank}")));
    send(pids[1], "-TERM");
    running
        .wait()
        .expect(75, &["rank 1 saved and asks to be started again; asking 2 ranks to save"]);
    assert_eq!(place.read("saved.0") + &place.read("saved.2"), "saved\nsaved\n");
}

#[test]
fn a_launcher_that_is_killed_leaves_no_process_behind() {
    let place = Place::new();
    let running = place.start("logs", &["--nproc-per-node", "2"], WAITING);
    let processes = ["pid.0", "child.0", "pid.1", "child.1"].map(|name| place.process(name));
    assert!(processes.iter().all(|process| is_alive(*process)));
    send(running.id(), "-KILL");
    running.wait().expect(137, &[]);
    until("the end of all", || !processes.iter().any(|process| is_alive(*process)));
}

#[test]
fn what_a_rank_leaves_running_ends_with_it() {
    let place = Place::new();
    let ended = place.run(&[], "sleep 600 & echo $! > child.0; exit 0");
    ended.expect(0, &["1 rank at"]);
    let child = place.process("child.0");
    until("the end of the rank's child", || !is_alive(child));
}

#[test]
fn a_failed_job_is_started_again_and_says_so() {
    let place = Place::new();
    let script = "echo $TORCHELASTIC_RESTART_COUNT >> starts.$RANK; \
        [ $RANK = 0 ] && [ $TORCHELASTIC_RESTART_COUNT -lt 2 ] && exit 9; exit 0";
    let ended = place.run(&["--nproc-per-node", "2", "--max-restarts", "2"], script);
    ended.expect(0, &["restart 1 of 2", "restart 2 of 2", "rank 0 ended with exit code 9"]);
    assert_eq!(place.read("starts.0"), "0\n1\n2\n");
    assert!(place.path("logs/rank_1.restart_2.log").is_file());

    let ended = place.run(&["--max-restarts", "1"], "exit 9");
    ended
        .expect(9, &["restart 1 of 1", "not started again: no restart is left (--max-restarts 1)"]);
}

#[test]
fn a_rank_that_saves_while_it_is_ended_does_not_keep_a_failed_job_from_its_restart() {
    let place = Place::new();
    let script = "[ $TORCHELASTIC_RESTART_COUNT = 1 ] && exit 0; \
        if [ $RANK = 0 ]; then trap 'exit 75' TERM; echo $$ > pid.0; sleep 600 & wait; fi; \
        while [ ! -f pid.0 ]; do sleep 0.01; done; exit 9";
    let ended = place.run(&["--nproc-per-node", "2", "--max-restarts", "1"], script);
    ended.expect(0, &["rank 1 ended with exit code 9", "restart 1 of 1"]);
    assert!(!ended.stderr.contains("asks to be started again"), "{}", ended.stderr);
}

#[test]
fn two_jobs_with_the_usual_port_do_not_meet() {
    let place = Place::new();
    let script =
        "echo $MASTER_PORT > $JOB.port; while [ ! -f a.port -o ! -f b.port ]; do sleep 0.01; done";
    let jobs = ["a", "b"].map(|name| {
        let script = format!("JOB={name}; {script}");
        place.start(name, &["--standalone"], &script)
    });
    for job in jobs {
        job.wait().expect(0, &[]);
    }
    assert_ne!(place.read("a.port"), place.read("b.port"));
}

#[test]
fn a_busy_port_is_avoided_and_told() {
    let place = Place::new();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let ended = place.run(&["--master-port", &port], "echo $MASTER_PORT");
    ended.expect(0, &[&format!("port {port} is not free")]);
    assert_ne!(ended.stdout.trim(), port);
}

#[test]
fn what_is_no_program_is_told() {
    let place = Place::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snaphook-launch"));
    command.args(["--", "no-such-program"]);
    place
        .start_command("none", command)
        .wait()
        .expect(127, &["no-such-program: expected a program"]);
    let ended = place.run(&["--nnodes", "2"], "true");
    ended.expect(2, &["error: 2 machines: expected the number of this one", "--node-rank"]);
    place.run(&["--nnodes", "1", "--node-rank", "0"], "true").expect(0, &["at 127.0.0.1:"]);
}

#[test]
fn a_closed_terminal_does_not_end_a_job() {
    let place = Place::new();
    let mut command = std::process::Command::new("sh");
    let launcher = env!("CARGO_BIN_EXE_snaphook-launch");
    let script = format!(
        "{launcher} --log-dir logs -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.02; done' | head -n 1"
    );
    command.args(["-c", &script]);
    let ended = place.start_command("pipe", command).wait();
    assert_eq!(ended.stdout, "line 1\n");
    until("all lines in the log", || place.read("logs/rank_0.log").lines().count() == 9);
}

#[test]
fn ranks_that_leave_their_output_open_are_waited_for_together() {
    let place = Place::new();
    let script = "setsid sh -c 'echo $$ > left.$RANK; exec sleep 60' & \
        while [ ! -s left.$RANK -o ! -f go ]; do sleep 0.01; done; exit 5";
    let running = place.start("logs", &["--nproc-per-node", "12"], script);
    let left: Vec<u32> = (0..12).map(|rank| place.process(&format!("left.{rank}"))).collect();
    let began = Instant::now();
    std::fs::write(place.path("go"), "").unwrap();
    running.wait().expect(5, &["ended with exit code 5"]);
    let took = began.elapsed();
    left.iter().for_each(|process| send(*process, "-KILL"));
    // About two seconds; one after the other they took more than twenty.
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[test]
fn processes_that_came_to_the_launcher_are_waited_for() {
    let place = Place::new();
    let mut command = std::process::Command::new("sh");
    let launcher = env!("CARGO_BIN_EXE_snaphook-launch");
    // As orphans come to the first process of a container.
    let rank = "while [ ! -f go ]; do sleep 0.01; done";
    let script =
        format!("sleep 0 & echo $! > orphan; exec {launcher} --log-dir logs -- sh -c '{rank}'");
    command.args(["-c", &script]);
    let running = place.start_command("adopted", command);
    let orphan = place.process("orphan");
    until("its end", || !std::path::Path::new(&format!("/proc/{orphan}")).exists());
    std::fs::write(place.path("go"), "").unwrap();
    running.wait().expect(0, &[]);
}
