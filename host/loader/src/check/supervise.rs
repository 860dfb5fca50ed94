//! The parent of a check: starts the child, listens to it, ends it when it hangs. Knows nothing of what the child does.

use super::leaks;
use super::limits::CheckLimits;
use super::report::{CheckEnd, CheckReport, CheckStep, Event, START};
use super::stop;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a silent child is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// For what a child wrote before its end to be read, on a machine that is busy.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the child may take before the first step, which no code of the plugin delays.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How much of the child's words is kept.
const SAID: usize = 4096;
/// No line of a check is longer.
const MAX_LINE: u64 = 1 << 20;

/// Runs `child`, which writes the events of [`exercise`](super::exercise) to its standard output; ends it, and all that
/// it started, when a step lasts longer than the deadline. The child ends with this process, however that ends.
///
/// Errors: the child cannot be started or waited for.
pub fn check_in_child(mut child: Command, limits: CheckLimits) -> io::Result<CheckReport> {
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let parent = process_number(std::process::id());
    // SAFETY: between fork and exec only two system calls are made.
    unsafe { child.pre_exec(move || stop::end_with(parent)) };
    let (tunables, ours) = leaks::TUNABLES;
    let others = std::env::var(tunables).map_or(String::new(), |others| others + ":");
    child.env(tunables, others + ours);
    // A group of its own, so that what it starts ends with it.
    let mut group = Group(child.process_group(0).spawn()?);
    let (Some(answer), Some(errors)) = (group.0.stdout.take(), group.0.stderr.take()) else {
        return Err(io::Error::other("no pipe to the child"));
    };
    let (events, (said, is_read)) = (listen(answer), keep_last(errors));
    let mut seen = Seen { steps: Vec::new(), at: START.to_owned(), is_finished: false };
    let followed = seen.follow(&group, &events, limits.deadline)?;
    group.end();
    // What it wrote last; a process that left the group could keep the pipe open.
    while let Ok(event) = events.recv_timeout(LAST_WORDS) {
        seen.take(event);
    }
    let status = group.0.wait()?;
    // Nothing is ever sent: the other end goes when all was read.
    let _ = is_read.recv_timeout(LAST_WORDS);
    let Seen { steps, at, is_finished } = seen;
    let end = match followed {
        Followed::Stopped { signal } => CheckEnd::Stopped { signal },
        Followed::TooLong => CheckEnd::Hung { at, after: limits.deadline },
        Followed::ToItsEnd if is_finished && status.success() => CheckEnd::Finished,
        Followed::ToItsEnd if is_from_outside(status) => {
            CheckEnd::Inconclusive { at, how: how_it_ended(status) }
        }
        Followed::ToItsEnd => CheckEnd::Crashed { at, how: how_it_ended(status) },
    };
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let said = String::from_utf8_lossy(said.as_slices().0).into_owned()
        + &String::from_utf8_lossy(said.as_slices().1);
    Ok(CheckReport { steps, end, said })
}

/// The system's own numbers of processes have this type.
fn process_number(id: u32) -> libc::pid_t {
    id as libc::pid_t
}

/// Until when a child was followed.
enum Followed {
    ToItsEnd,
    /// A step was over its deadline.
    TooLong,
    /// This process was asked to end.
    Stopped {
        signal: i32,
    },
}

/// A child and its group; all ended when this is dropped.
struct Group(Child);

impl Group {
    fn id(&self) -> libc::pid_t {
        process_number(self.0.id())
    }

    /// Whether the child ended; it stays to be waited for, so that its number is nobody else's.
    fn has_ended(&self) -> io::Result<bool> {
        // SAFETY: a zeroed siginfo_t is one; waitid fills it.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: asks for the state of our own child.
        match unsafe { libc::waitid(libc::P_PID, self.0.id(), &mut info, flags) } {
            // SAFETY: waitid filled it; the number is 0 when nothing ended.
            0 => Ok(unsafe { info.si_pid() } != 0),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn end(&self) {
        // SAFETY: sends a signal to the group of our own child, which was not waited for yet.
        unsafe { libc::kill(-self.id(), libc::SIGKILL) };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nothing is left of it after the usual way; after an error it must not stay behind.
        if let Ok(None) = self.0.try_wait() {
            self.end();
            let _ = self.0.wait();
        }
    }
}

/// What is known from the events so far.
struct Seen {
    steps: Vec<CheckStep>,
    at: String,
    is_finished: bool,
}

impl Seen {
    /// Takes events until the child ends, a step is over its deadline, or this process is asked to end.
    fn follow(
        &mut self,
        child: &Group,
        events: &Receiver<Event>,
        deadline: Duration,
    ) -> io::Result<Followed> {
        let mut since = Instant::now();
        loop {
            if let Some(signal) = stop::seen() {
                return Ok(Followed::Stopped { signal });
            }
            match events.recv_timeout(LOOK) {
                Ok(event) => {
                    since = Instant::now();
                    self.take(event);
                }
                Err(_) if child.has_ended()? => return Ok(Followed::ToItsEnd),
                Err(_) if since.elapsed() > self.limit(deadline) => return Ok(Followed::TooLong),
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn limit(&self, deadline: Duration) -> Duration {
        if self.at == START { deadline.max(START_LIMIT) } else { deadline }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Begin(at) => self.at = at,
            Event::End(step) => self.steps.push(step),
            // What is left are the plugin's and the system's own handlers at the end of a process.
            Event::Finished => (self.at, self.is_finished) = ("exit".to_owned(), true),
        }
    }
}

fn listen(answer: impl Read + Send + 'static) -> Receiver<Event> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut answer = BufReader::new(answer);
        loop {
            let mut line = Vec::new();
            let read = answer.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if !read.is_ok_and(|length| length > 0) {
                return;
            }
            // A plugin that writes into the answer only spoils its own report.
            let event = serde_json::from_slice(&line);
            if event.is_ok_and(|event| send.send(event).is_err()) {
                return;
            }
        }
    });
    receive
}

/// The last bytes that were said, and a channel whose other end goes when all was read.
fn keep_last(mut errors: impl Read + Send + 'static) -> (Arc<Mutex<VecDeque<u8>>>, Receiver<()>) {
    let (reading, is_read) = channel();
    let last = Arc::new(Mutex::new(VecDeque::new()));
    let kept = Arc::clone(&last);
    std::thread::spawn(move || {
        let _reading: Sender<()> = reading;
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = errors.read(&mut part) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&part[..length]);
            let surplus = kept.len().saturating_sub(SAID);
            kept.drain(..surplus);
        }
    });
    (last, is_read)
}

/// Whether it ended by a signal that no fault raises: somebody sent it, or the system, when memory ran out.
fn is_from_outside(status: ExitStatus) -> bool {
    let from_outside = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
    status.signal().is_some_and(|signal| from_outside.contains(&signal))
}

/// `SIGSEGV`, `exit code 3`.
fn how_it_ended(status: ExitStatus) -> String {
    let signal = status.signal().map(|signal| match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGILL => "SIGILL".to_owned(),
        libc::SIGFPE => "SIGFPE".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGKILL => "SIGKILL".to_owned(),
        libc::SIGTERM => "SIGTERM".to_owned(),
        libc::SIGXFSZ => "SIGXFSZ, too large a file".to_owned(),
        other => format!("signal {other}"),
    });
    let ended = || format!("it ended the process with exit code {}", status.code().unwrap_or(0));
    signal.unwrap_or_else(ended)
}
