//! `run.json` in a run's folder: what the run was, how it ended, and where its time went. The runner writes it at
//! the start, after each epoch and at the end; reports and `snaphook runs` read it.
//! Knows nothing of how a run is carried out.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ReportError;

/// The file's name.
pub const RUN_FILE: &str = "run.json";

/// Grows by new keys only: an older reader skips them, a newer one does without those that are missing.
const FORMAT: u32 = 1;

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It goes on, or it was killed: then its process is gone.
    #[default]
    Running,
    /// It came to its end.
    Done,
    /// A hook asked it to stop before its end.
    Stopped,
    /// It ended with an error.
    Failed,
    /// A signal asked it to end, and it was saved; or its process is gone and did not say why, see
    /// [`RunRecord::status_now`].
    Interrupted,
}

impl Status {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Done => "done",
            Status::Stopped => "stopped",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        }
    }
}

/// Whether a run trains or measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `snaphook train`.
    #[default]
    Train,
    /// `snaphook test`.
    Test,
}

/// Where a run is, or was when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// Epochs finished.
    pub epoch: u64,
    /// Training iterations finished.
    pub iter: u64,
    /// Epochs of the whole run.
    pub max_epochs: u64,
    /// Training iterations of the whole run.
    pub max_iters: u64,
    /// Training iterations that this process did: less than `iter` in a resumed run.
    pub iters_here: u64,
}

impl Position {
    /// How far the run came: `3/12`, or `40/40 it` of a training by iterations, which is one epoch for its hooks.
    pub fn reached(&self) -> String {
        match self.max_epochs {
            1 if self.epoch == 0 => format!("{}/{} it", self.iter, self.max_iters),
            most => format!("{}/{most}", self.epoch),
        }
    }
}

/// Where a validation was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Validation {
    /// Epochs finished; 0 in trainings by iterations.
    pub epoch: u64,
    /// Training iterations finished.
    pub iter: u64,
}

/// The machine and the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Name of the machine.
    pub host: String,
    /// Number of the process.
    pub pid: u32,
    /// When the process began, in the system's own count; tells it from a later one with the same number.
    pub pid_started: u64,
    /// The processor's name.
    pub processor: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Threads of the tensor library.
    pub threads: usize,
    /// Memory of the machine in MiB.
    pub memory_mib: u64,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Version of Snaphook.
    pub snaphook: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The command line.
    pub command: Vec<String>,
}

/// What one hook cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookCost {
    /// Its type.
    pub name: String,
    /// `built-in`, or the plugin's name and version.
    pub source: String,
    /// Its priority.
    pub priority: i64,
    /// How often it was called.
    pub calls: u64,
    /// Time in it, in seconds, without what it asked the run to do.
    pub seconds: f64,
}

/// The time of one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseTime {
    /// `data`, `forward`, `backward`, `optimizer`, `hooks`, `evaluation`, `checkpoint` or `other`.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
}

/// All that `run.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// Version of the file's layout.
    pub format: u32,
    /// Whether it trains or measures.
    pub kind: Kind,
    /// How it stands.
    pub status: Status,
    /// Why it stopped or failed.
    pub reason: Option<String>,
    /// `<config>_<timestamp>`.
    pub experiment: String,
    /// The config file.
    pub config: PathBuf,
    /// The checkpoint that it went on from.
    pub resumed_from: Option<PathBuf>,
    /// The run that saved that checkpoint, by its `experiment`.
    pub resumed_experiment: Option<String>,
    /// Seed of all random draws.
    pub seed: u64,
    /// When it began, as RFC 3339.
    pub started: String,
    /// When this was written, as RFC 3339.
    pub written: String,
    /// Seconds from the beginning to when this was written.
    pub seconds: f64,
    /// Where it is.
    pub position: Position,
    /// Where its time went.
    pub phases: Vec<PhaseTime>,
    /// Where its validations were, in their order.
    pub validations: Vec<Validation>,
    /// What its hooks cost, the dearest first.
    pub hooks: Vec<HookCost>,
    /// The machine and the program.
    pub environment: Environment,
}

impl RunRecord {
    /// Reads `run.json` of a run's folder; `None` where there is none (a run of MMEngine, or of an older version).
    ///
    /// Errors: a file that cannot be read or is no such record.
    pub fn read(run_dir: &Path) -> Result<Option<RunRecord>, ReportError> {
        let path = run_dir.join(RUN_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ReportError::file(path, source)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| ReportError::Malformed { path, message: error.to_string() })
    }

    /// Writes it into a run's folder, whole or not at all.
    ///
    /// Errors: a folder or disk that cannot be written.
    pub fn write(&self, run_dir: &Path) -> Result<(), ReportError> {
        let path = run_dir.join(RUN_FILE);
        let failed = |source| ReportError::file(&path, source);
        let record = RunRecord { format: FORMAT, ..self.clone() };
        let text = serde_json::to_string_pretty(&record).map_err(|error| failed(error.into()))?;
        let new = run_dir.join(format!(".{RUN_FILE}.new"));
        let mut file = File::create(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        drop(file);
        std::fs::rename(&new, &path).map_err(failed)
    }

    /// How it stands now: a record that says `running` of a process that is gone was interrupted.
    pub fn status_now(&self) -> Status {
        let environment = &self.environment;
        let is_here = environment.host == host_name();
        let is_gone = is_here && process_start(environment.pid) != Some(environment.pid_started);
        if self.status == Status::Running && is_gone { Status::Interrupted } else { self.status }
    }

    /// Training iterations a second, without validation and checkpoints.
    pub fn iterations_per_second(&self) -> Option<f64> {
        let in_training = ["data", "forward", "backward", "optimizer", "hooks"];
        let seconds: f64 = self
            .phases
            .iter()
            .filter(|phase| in_training.contains(&phase.name.as_str()))
            .map(|phase| phase.seconds)
            .sum();
        let iterations = self.position.iters_here as f64;
        (seconds > 0.0 && iterations > 0.0).then(|| iterations / seconds)
    }
}

/// Whether a hook is part of Snaphook.
pub fn is_built_in(hook: &HookCost) -> bool {
    hook.source == "built-in"
}

impl Environment {
    /// This machine and this process; `device`, `threads` and versions are the caller's to fill in.
    pub fn here() -> Environment {
        let pid = std::process::id();
        Environment {
            host: host_name(),
            pid,
            pid_started: process_start(pid).unwrap_or_default(),
            processor: after_colon("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: after_colon("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok())
                .unwrap_or_default()
                / 1024,
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            ..Environment::default()
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// The value of the first line `key : value` of one of the system's files.
fn after_colon(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// When a process began, in the system's ticks; `None` when there is none of that number.
fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and may hold anything; `starttime` is the 22nd.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        RunRecord {
            status: Status::Running,
            environment: Environment::here(),
            phases: vec![
                PhaseTime { name: "forward".into(), seconds: 3.0 },
                PhaseTime { name: "evaluation".into(), seconds: 50.0 },
                PhaseTime { name: "data".into(), seconds: 1.0 },
            ],
            position: Position { iters_here: 8, ..Position::default() },
            ..RunRecord::default()
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(RunRecord::read(folder.path()).unwrap(), None);
        record().write(folder.path()).unwrap();
        let read = RunRecord::read(folder.path()).unwrap().unwrap();
        assert_eq!(read, RunRecord { format: FORMAT, ..record() });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_running_record_of_a_process_that_is_gone_was_interrupted() {
        let mut record = record();
        assert_eq!(record.status_now(), Status::Running);
        record.environment.pid_started += 1;
        assert_eq!(record.status_now(), Status::Interrupted);
        record.environment.host = "elsewhere".into();
        assert_eq!(record.status_now(), Status::Running, "nobody here can tell");
        record.status = Status::Failed;
        assert_eq!(record.status_now(), Status::Failed);
    }

    #[test]
    fn the_rate_counts_training_alone() {
        assert_eq!(record().iterations_per_second(), Some(2.0));
        assert_eq!(RunRecord::default().iterations_per_second(), None);
    }

    #[test]
    fn what_is_no_record_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(RUN_FILE), "{\"status\": \"asleep\"}").unwrap();
        let text = RunRecord::read(folder.path()).unwrap_err().to_string();
        assert!(text.contains("run.json") && text.contains("asleep"), "{text}");
    }
}
