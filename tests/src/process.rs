//! Runs a program with a deadline and collects what it says. Knows nothing of which program it is.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use snaphook_launch::is_ignored;

use crate::Outcome;

/// The number of Ctrl-C's signal.
const SIGINT: i32 = 2;

/// Far above what any run of the tests takes: only a run that hangs meets it.
const DEADLINE: Duration = Duration::from_secs(180);

/// A program that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// Starts a command with nothing on stdin.
pub fn start(command: Command) -> Running {
    let shown = format!("{command:?}");
    let mut command = with_default_interrupt(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    Running { child, shown, stdout: Some(collect(stdout)), stderr: Some(collect(stderr)) }
}

/// As a terminal starts it, which has nothing ignore Ctrl-C.
fn with_default_interrupt(command: Command) -> Command {
    if !is_ignored(SIGINT) {
        return command;
    }
    let mut with = Command::new("env");
    with.arg("--default-signal=INT");
    // For the program, and not for `env` itself.
    for name in command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name) {
        with.arg("-u").arg(name);
    }
    for (name, value) in command.get_envs() {
        with.args(value.map(|value| [name, value].join(OsStr::new("="))));
    }
    with.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        with.current_dir(folder);
    }
    with
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Running {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `condition` holds or the program has ended; whether it held.
    pub fn wait_until(&mut self, mut condition: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            if condition() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < end, "{}: nothing happened in time", self.shown);
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Ends it with SIGKILL, which no program can answer.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is no error.
        let _ = self.child.kill();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > end => {
                    self.kill();
                    let (stdout, stderr) = (text(&mut self.stdout), text(&mut self.stderr));
                    panic!("{}: hangs\n{stdout}\n{stderr}", self.shown);
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        let (stdout, stderr) = (text(&mut self.stdout), text(&mut self.stderr));
        Outcome { command: self.shown.clone(), status, stdout, stderr }
    }
}

fn text(thread: &mut Option<JoinHandle<String>>) -> String {
    thread.take().map(|thread| thread.join().unwrap()).unwrap_or_default()
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}
