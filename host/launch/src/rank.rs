//! One rank as a process of this machine: started in a group of its own, asked, ended, looked at. Knows nothing of the
//! other ranks.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use snaphook_heartbeat::words;

use crate::ending::{Failure, RankEnd};
use crate::output::{RankLog, Show, follow, last_lines};
use crate::roles::Guard;
use crate::{LaunchError, Stream};

/// What the trainer says where another rank has failed or cannot start.
const FOLLOWING: [&str; 2] = [words::FAILED_ELSEWHERE, words::CANNOT_START_ELSEWHERE];

/// What the trainer says of ranks that it waited for in vain.
const WAITED_FOR: [&str; 4] =
    [words::IS_GONE, words::ARE_GONE, words::DID_NOT_COME, words::WAS_LATE];

/// Lines of a rank's log that are shown when it fails.
const SHOWN_LINES: usize = 12;

/// What a rank is started as.
pub(crate) struct RankStart {
    pub(crate) rank: u32,
    pub(crate) local_rank: u32,
    pub(crate) command: Command,
    pub(crate) log: PathBuf,
    /// How each stream is shown, if it is.
    pub(crate) show: [Option<Show>; 2],
}

/// A rank that runs or has ended; killed when it is dropped.
pub(crate) struct Rank {
    pub(crate) rank: u32,
    pub(crate) local_rank: u32,
    pub(crate) pid: Pid,
    child: Child,
    began: Instant,
    log: Arc<RankLog>,
    output: Vec<JoinHandle<()>>,
    stop: Stop,
    was_let_go_on: bool,
    end: Option<(RankEnd, Duration)>,
}

impl Rank {
    /// Starts it, and tells the guard.
    pub(crate) fn start(start: RankStart, guard: &mut Guard) -> Result<Rank, LaunchError> {
        let RankStart { rank, local_rank, mut command, log, show } = start;
        let log = Arc::new(RankLog::create(log)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_owned();
        let mut child = command.spawn().map_err(|source| LaunchError::Start { program, source })?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let pid = Pid::from_child(&child);
        guard.watch(pid);
        if let Some(mut go) = child.stdin.take() {
            // One that has ended already is found to have when it is looked at.
            let _ = go.write_all(b"\n");
        }
        let mut started = Rank {
            rank,
            local_rank,
            pid,
            child,
            began: Instant::now(),
            log,
            output: Vec::new(),
            stop: Stop::default(),
            was_let_go_on: false,
            end: None,
        };
        let [show_out, show_err] = show;
        if let Some(out) = out {
            started.output.push(follow(out, Arc::clone(&started.log), show_out)?);
        }
        if let Some(err) = err {
            started.output.push(follow(err, Arc::clone(&started.log), show_err)?);
        }
        Ok(started)
    }

    /// Looks whether it has ended; what it left running ends then, too. Whether it ended just now.
    pub(crate) fn has_just_ended(&mut self, guard: &mut Guard) -> bool {
        if self.end.is_some() {
            return false;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if !matches!(waitid(WaitId::Pid(self.pid), options), Ok(Some(_))) {
            return false;
        }
        // Before the process is waited for, so that its number cannot be another one's.
        let _ = kill_process_group(self.pid, Signal::KILL);
        guard.forget(self.pid);
        let end = self.child.wait().map_or(RankEnd::Code(1), RankEnd::of);
        self.end = Some((end, self.began.elapsed()));
        true
    }

    pub(crate) fn end(&self) -> Option<RankEnd> {
        self.end.map(|(end, _)| end)
    }

    /// When it said something last.
    pub(crate) fn last_output(&self) -> Instant {
        self.log.last_output()
    }

    /// Sends a signal to the process alone, which knows what its own processes need; nothing when it has ended.
    pub(crate) fn send(&self, signal: Signal) {
        if self.end.is_none() {
            // It may end in this moment, which is no error.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Ends it with all that it started.
    pub(crate) fn kill(&self) {
        if self.end.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Whether all that it said has been taken in; a process that left its group may hold the streams open.
    pub(crate) fn has_said_all(&self) -> bool {
        self.output.iter().all(JoinHandle::is_finished)
    }

    /// What went wrong, for people.
    pub(crate) fn failure(&self, place: Option<String>) -> Failure {
        let (end, after) = self.end.unwrap_or((RankEnd::Code(1), self.began.elapsed()));
        let summary = format!("rank {} {end}", self.rank);
        let mut details = vec![format!(
            "after {:.1} s, process {}, local rank {}",
            after.as_secs_f64(),
            self.pid.as_raw_nonzero(),
            self.local_rank
        )];
        details.extend(place);
        details.extend(self.last_words());
        Failure { summary, details, code: end.exit_code() }
    }

    /// The rank whose failure ended this one too, as its last words say: `rank 1 failed, and the run ends on every rank`.
    pub(crate) fn follows(&self) -> Option<u32> {
        if self.end() == Some(RankEnd::Code(0)) {
            return None;
        }
        let lines = last_lines(&self.log.path, SHOWN_LINES);
        lines.iter().rev().find_map(|line| {
            let said = FOLLOWING.iter().find_map(|words| line.split_once(words))?.0;
            said.rsplit_once("rank ")?.1.parse().ok()
        })
    }

    /// The ranks that it waited for in vain, as its last words say.
    pub(crate) fn waited_for(&self) -> Vec<u32> {
        let lines = last_lines(&self.log.path, SHOWN_LINES);
        let said = lines.iter().rev().find_map(|line| numbers_before(line));
        said.unwrap_or_default()
    }

    /// Whether its process is stopped, by a signal or a debugger.
    pub(crate) fn is_stopped(&self) -> bool {
        self.end.is_none() && matches!(self.state(), Some('T' | 't'))
    }

    /// Lets it go on where it is stopped, the first time; whether it does.
    pub(crate) fn let_go_on(&mut self) -> bool {
        if self.was_let_go_on || !self.is_stopped() {
            return false;
        }
        self.send(Signal::CONT);
        self.was_let_go_on = true;
        true
    }

    /// For how long its process has been stopped at each look; to be called often.
    pub(crate) fn stopped_for(&mut self, now: Instant) -> Duration {
        let is_stopped = self.is_stopped();
        self.stop.look(is_stopped, now)
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let lines = last_lines(&self.log.path, SHOWN_LINES);
        let path = self.log.path.display();
        if lines.is_empty() {
            return vec![format!("it said nothing ({path})")];
        }
        let head = format!("the last lines of {path}:");
        std::iter::once(head).chain(lines.into_iter().map(|line| format!("  {line}"))).collect()
    }

    /// As [`process_state`](snaphook_heartbeat::process_state).
    pub(crate) fn state(&self) -> Option<char> {
        snaphook_heartbeat::process_state(self.child.id().into())
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Since when a process has been stopped, as far as it was looked at.
#[derive(Default)]
struct Stop(Option<Instant>);

impl Stop {
    /// For how long it has been.
    fn look(&mut self, is_stopped: bool, now: Instant) -> Duration {
        self.0 = is_stopped.then(|| self.0.unwrap_or(now));
        self.0.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// `rank 0 of 4: ranks 2, 3 did not come` is 2 and 3.
fn numbers_before(line: &str) -> Option<Vec<u32>> {
    let said = WAITED_FOR.iter().find_map(|words| line.split_once(words))?.0;
    let after = |word: &str| said.rfind(word).map(|at| at + word.len());
    let start = after("rank ").max(after("ranks "))?;
    said[start..].split(", ").map(|number| number.parse().ok()).collect()
}

/// The two streams in the order of [`RankStart::show`].
pub(crate) const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_from_its_stop_to_the_moment_it_goes_on() {
        let begin = Instant::now();
        let seconds = Duration::from_secs;
        let mut stop = Stop::default();
        for (second, is_stopped, expected) in [
            (0, false, 0),
            (9, true, 0),
            (11, true, 2),
            (12, false, 0),
            (20, true, 0),
            (30, true, 10),
        ] {
            let stopped = stop.look(is_stopped, begin + seconds(second));
            assert_eq!(stopped, seconds(expected), "{second}");
        }
    }

    #[test]
    fn ranks_that_were_waited_for_in_vain_are_read_from_last_words() {
        for (line, expected) in [
            (
                "error: a.py: rank 1 is gone or does not answer: rank 0 of 2, all-reduce: …",
                Some(vec![1]),
            ),
            ("error: rank 0 of 4: ranks 2, 3 did not come within 5 s", Some(vec![2, 3])),
            ("error: rank 12 was late: 34 s in SlowHook at after_train_iter", Some(vec![12])),
            ("the frank answer did not come", None),
            ("rank 1 failed, and the run ends on every rank", None),
        ] {
            assert_eq!(numbers_before(line), expected, "{line}");
        }
    }
}
