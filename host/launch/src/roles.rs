//! Two small parts that the launcher's own program plays in processes of their own: the first moments of a rank, and the
//! guard that ends ranks whose launcher was killed. Knows nothing of jobs.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};

use crate::LaunchError;

const RANK: &str = "launch-rank";
const GUARD: &str = "launch-guard";
/// As shells say that a program is not there, or is none.
const NOT_FOUND: u8 = 127;
const NOT_A_PROGRAM: u8 = 126;

/// What a program that calls [`launch`](crate::launch) must do first in its `main`: play the part that its own launcher
/// started it for, if it is one, and end with this code. The launcher starts `/proc/self/exe`.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     if let Some(code) = snaphook_launch::play_role() {
///         return code;
///     }
///     // … what the program is for
/// #   ExitCode::SUCCESS
/// }
/// ```
pub fn play_role() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    if role == RANK {
        Some(be_rank(arguments))
    } else if role == GUARD {
        Some(be_guard())
    } else {
        None
    }
}

/// A command that becomes the program when it has read a byte from its standard input, and dies with the launcher. The byte
/// is to be written when the guard knows of the process: nothing that it starts can then be left behind.
///
/// The signal of a parent's death is asked for by a process itself; doing it here, in a program that then becomes the
/// rank, needs no code between `fork` and `exec`.
pub(crate) fn rank_command(program: &OsString, arguments: &[OsString]) -> Command {
    let mut command = own_program();
    command.arg(RANK).arg(std::process::id().to_string()).arg(program).args(arguments);
    command
}

fn own_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("snaphook-launch").process_group(0);
    command
}

/// Arguments: the launcher's process, the program, its arguments.
fn be_rank(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = arguments.next().and_then(|text| text.to_str()?.parse().ok());
    let (Some(parent), Some(program)) = (parent.and_then(Pid::from_raw), arguments.next()) else {
        return ExitCode::from(NOT_A_PROGRAM);
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("warning: this rank may outlive its launcher: {error}");
    }
    // The launcher may have died before the signal was asked for, or before the guard knew of this process.
    if getppid() != Some(parent) || std::io::stdin().read_exact(&mut [0]).is_err() {
        return ExitCode::from(NOT_A_PROGRAM);
    }
    let error = Command::new(&program).args(arguments).stdin(Stdio::null()).exec();
    eprintln!("error: {}: expected a program that starts: {error}", program.display());
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    ExitCode::from(if is_missing { NOT_FOUND } else { NOT_A_PROGRAM })
}

/// Reads `+GROUP` and `-GROUP`; at the end, which comes with the launcher's death as well, kills what is left.
fn be_guard() -> ExitCode {
    let mut groups = HashSet::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (sign, number) = line.split_at_checked(1).unwrap_or_default();
        match number.parse().ok().and_then(Pid::from_raw) {
            Some(group) if sign == "+" => groups.insert(group),
            Some(group) => groups.remove(&group),
            None => false,
        };
    }
    for group in groups {
        // Gone already, which is as well.
        let _ = kill_process_group(group, Signal::KILL);
    }
    ExitCode::SUCCESS
}

/// Waits for children that have ended, up to the first one that is a rank.
pub(crate) fn reap_orphans(is_rank: impl Fn(Pid) -> bool) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    while let Ok(status) = waitid(Id::All, ended | WaitPidFlag::WNOWAIT)
        && let Some(process) = status.pid()
        && !Pid::from_raw(process.as_raw()).is_some_and(&is_rank)
    {
        // Its number is not another one's as long as nobody has waited for it.
        let _ = waitid(Id::Pid(process), ended);
    }
}

/// A process that knows the groups of all ranks, and kills them when the launcher is gone: with the processes that ranks
/// started, which the death signal of a rank does not reach.
pub(crate) struct Guard {
    child: Child,
    line: Option<ChildStdin>,
    /// The ranks that are not waited for yet.
    ranks: HashSet<Pid>,
}

impl Guard {
    pub(crate) fn start() -> Result<Guard, LaunchError> {
        let failed = |source| {
            let what = "the process that ends ranks without a launcher cannot be started";
            LaunchError::System { what, source }
        };
        let mut command = own_program();
        command.arg(GUARD).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let line = child.stdin.take();
        Ok(Guard { child, line, ranks: HashSet::new() })
    }

    pub(crate) fn watch(&mut self, group: Pid) {
        self.ranks.insert(group);
        self.tell('+', group);
    }

    pub(crate) fn forget(&mut self, group: Pid) {
        self.ranks.remove(&group);
        self.tell('-', group);
    }

    /// Waits for children that have ended and are no ranks: as the first process of a container the launcher gets those whose
    /// parents have ended. None of them is left a zombie.
    pub(crate) fn reap_orphans(&mut self) {
        // Waited for by its own handle, which somebody may use later.
        let _ = self.child.try_wait();
        reap_orphans(|process| self.ranks.contains(&process));
    }

    fn tell(&mut self, sign: char, group: Pid) {
        if let Some(line) = &mut self.line {
            // Somebody killed the guard: then the death signal has to do.
            let _ = writeln!(line, "{sign}{}", group.as_raw_nonzero());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.line = None;
        let _ = self.child.wait();
    }
}
