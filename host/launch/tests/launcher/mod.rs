//! A folder in which the built launcher runs shell scripts as ranks, with a deadline that only a hang meets.

#![allow(dead_code, clippy::unwrap_used)] // not every test program uses all of it

use std::ffi::OsStr;
use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use signal_hook::consts::{SIGINT, SIGQUIT};
use snaphook_heartbeat::process_state;

const DEADLINE: Duration = Duration::from_secs(60);

/// The folder; gone when it is dropped.
pub(crate) struct Place(tempfile::TempDir);

/// A launcher that runs; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// How a launcher ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts a launcher; its ranks run the script in this folder. `name` tells apart several launchers.
    pub(crate) fn start(&self, name: &str, flags: &[&str], script: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snaphook-launch"));
        command.args(["--log-dir", name]).args(flags).args(["--", "sh", "-c", script]);
        self.start_command(name, command)
    }

    pub(crate) fn start_command(&self, name: &str, command: Command) -> Running {
        self.start_command_with(name, command, Stdio::null())
    }

    /// As [`Place::start_command`], with a standard input.
    pub(crate) fn start_command_with(
        &self,
        name: &str,
        mut command: Command,
        input: Stdio,
    ) -> Running {
        let (out, err) = (self.path(&format!("{name}.out")), self.path(&format!("{name}.err")));
        let file = |path: &Path| std::fs::File::create(path).unwrap();
        // Nothing of the process that runs the tests is about the launchers that they start.
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            let is_about_jobs = ["SLURM_", "OMPI_", "PMI", "PET_", "MASTER_", "NODE_", "JOB_"];
            let is_one = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "NNODES", "PORT", "OMP_NUM_THREADS"];
            if is_about_jobs.iter().any(|start| text.starts_with(start))
                || is_one.contains(&text.as_ref())
            {
                command.env_remove(&variable);
            }
        }
        let mut command = with_default_signals(command);
        command.current_dir(self.0.path()).stdin(input);
        command.stdout(file(&out)).stderr(file(&err));
        Running { child: command.spawn().unwrap(), out, err }
    }

    pub(crate) fn run(&self, flags: &[&str], script: &str) -> Ended {
        self.start("logs", flags, script).wait()
    }

    /// Waits until all of these files are there.
    pub(crate) fn await_files(&self, names: &[&str]) {
        until("files", || names.iter().all(|name| self.path(name).is_file()));
    }

    /// The process that wrote its number into this file.
    pub(crate) fn process(&self, name: &str) -> u32 {
        let mut number = None;
        until(name, || {
            number = self.read(name).trim().parse().ok();
            number.is_some()
        });
        number.unwrap()
    }
}

/// As a terminal starts it: a shell without job control has what it starts in the background ignore these signals.
fn with_default_signals(command: Command) -> Command {
    if ![SIGINT, SIGQUIT].into_iter().any(snaphook_launch::is_ignored) {
        return command;
    }
    let mut with = Command::new("env");
    with.arg("--default-signal=INT,QUIT");
    // For the program, and not for `env` itself.
    for name in command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name) {
        with.arg("-u").arg(name);
    }
    for (name, value) in command.get_envs() {
        with.args(value.map(|value| [name, value].join(OsStr::new("="))));
    }
    with.arg(command.get_program()).args(command.get_args());
    with
}

/// The folder of documents, with the ready files.
pub(crate) fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// What a file of `docs/kubernetes` asks a server for.
pub(crate) fn manifests(file: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(documents().join("kubernetes").join(file)).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// Says past the capture of the test harness what was not tried, so that it is seen where all tests pass.
pub(crate) fn not_run(why: &str) {
    std::io::stderr().write_all(format!("not run: {why}\n").as_bytes()).unwrap();
}

/// The launcher of machine 0 or 1 of two, with two ranks there.
pub(crate) fn start_machine(
    place: &Place,
    name: &str,
    (machine, port): (u32, &str),
    flags: &[&str],
    script: &str,
) -> Running {
    let number = machine.to_string();
    let mut all = vec!["--nnodes", "2", "--node-rank", &number, "--master-addr", "127.0.0.1"];
    all.extend(["--master-port", port, "--nproc-per-node", "2"]);
    all.extend(flags);
    place.start(name, &all, script)
}

/// Two launchers of one job; the port is free when they start.
pub(crate) fn start_two(place: &Place, flags: &[&str], script: &str) -> [Running; 2] {
    let port = free_port();
    [0, 1].map(|machine| {
        start_machine(place, &format!("m{machine}"), (machine, &port), flags, script)
    })
}

/// The launcher of a machine of three, with one rank there.
pub(crate) fn start_of_three(
    place: &Place,
    machine: u32,
    port: &str,
    flags: &[&str],
    script: &str,
) -> Running {
    start_of_three_as(place, &format!("m{machine}"), (machine, port), flags, script)
}

/// As [`start_of_three`], with a name of its own.
pub(crate) fn start_of_three_as(
    place: &Place,
    name: &str,
    (machine, port): (u32, &str),
    flags: &[&str],
    script: &str,
) -> Running {
    let number = machine.to_string();
    let fixed = ["--nnodes", "3", "--node-rank", &number, "--master-addr", "127.0.0.1"];
    let all = [fixed.as_slice(), &["--master-port", port], flags].concat();
    place.start(name, &all, script)
}

/// Below the ports that the system gives to whoever asks for any, and taken by no other test while this process lives, as
/// little as the next ones, of which ranks take one.
pub(crate) fn free_port() -> String {
    let claim = |port: &u16| {
        let name = SocketAddr::from_abstract_name(format!("snaphook-test-port-{port}")).unwrap();
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", *port)).ok()?;
        Some(claim)
    };
    let (port, claim) =
        (10_000..20_000).step_by(10).find_map(|port| Some((port, claim(&port)?))).unwrap();
    std::mem::forget(claim);
    port.to_string()
}

/// Waits until it holds; fails when it does not.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what}: it did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there and not only waited for.
pub(crate) fn is_alive(process: u32) -> bool {
    process_state(process.into()).is_some_and(|state| state != 'Z')
}

/// Whether a signal has stopped a process.
pub(crate) fn is_stopped(process: u32) -> bool {
    process_state(process.into()) == Some('T')
}

/// The guard of a launcher, once it holds signals back.
pub(crate) fn guard(launcher: u32) -> u32 {
    let is_guard = |child: &u32| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.ends_with(b"\0launch-guard\0") && has_signal(*child, "SigBlk:", 10)
    };
    let mut found = None;
    until("the guard", || {
        found = children(launcher).into_iter().find(is_guard);
        found.is_some()
    });
    found.unwrap()
}

/// The processes that a process has started, whichever of its threads did.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = process.to_string();
    numbers.filter(|number| status(*number, "PPid:").as_ref() == Some(&parent)).collect()
}

/// A line of what the kernel says of a process.
pub(crate) fn status(process: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

/// Whether a signal is in a set of a process, such as `SigCgt:`.
pub(crate) fn has_signal(process: u32, set: &str, signal: u32) -> bool {
    let mask = status(process, set).and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

pub(crate) fn send(process: u32, signal: &str) {
    let status = Command::new("kill").arg(signal).arg(process.to_string()).status().unwrap();
    assert!(status.success());
}

impl Running {
    /// Waits until the launcher has said this.
    #[track_caller]
    pub(crate) fn await_words(&self, words: &str) {
        until(words, || self.stderr().contains(words));
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub(crate) fn type_in(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub(crate) fn wait(mut self) -> Ended {
        let mut status = None;
        let began = Instant::now();
        while status.is_none() {
            status = self.child.try_wait().unwrap();
            if began.elapsed() > DEADLINE {
                panic!("the launcher hangs\n{}", self.stderr());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = status.unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().or_else(|| signal.map(|signal| 128 + signal)).unwrap();
        let stdout = std::fs::read_to_string(&self.out).unwrap();
        Ended { code, stdout, stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended in most tests, which is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// What the launcher said last.
    pub(crate) fn last_line(&self) -> &str {
        self.stderr.trim_end().rsplit('\n').next().unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        for text in said {
            assert!(self.stderr.contains(text), "expected: {text}\n{}", self.stderr);
        }
    }
}
