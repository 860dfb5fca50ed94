//! The record of what this process is doing, for the launcher and for people. Knows nothing of what is in it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use snaphook_heartbeat::{Heartbeat, PATH_VARIABLE, Starting, WORDS};
use snaphook_runner::log::RunLogger;
use snaphook_runner::{Records, Run};

/// The record of this process, once there is one.
static RECORD: OnceLock<Heartbeat> = OnceLock::new();

/// The folder of the record, where those of the other ranks on this machine lie as well.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Begins the record that the launcher asked for, if it did; before anything takes long.
pub(crate) fn begin(log: &RunLogger) {
    if let Some(path) = std::env::var_os(PATH_VARIABLE) {
        open(&PathBuf::from(path), log);
    }
}

/// Begins one in the run's folder, for a process of several whose launcher asked for none.
pub(crate) fn begin_in(run_dir: &Path, log: &RunLogger) {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    let is_asked_for = std::env::var_os(PATH_VARIABLE).is_some();
    if let (Some(rank), Some(2..), false) = (number("RANK"), number("WORLD_SIZE"), is_asked_for) {
        open(&run_dir.join(format!("rank_{rank}.heartbeat")), log);
    }
}

fn open(path: &Path, log: &RunLogger) {
    match snaphook_loader::share_words(path, WORDS) {
        Ok(words) => {
            if let Some(heartbeat) = Heartbeat::over(words) {
                // A second run in one process goes on with the first one's record.
                let _ = RECORD.set(heartbeat);
                let _ = FOLDER.set(path.parent().map(Path::to_path_buf).unwrap_or_default());
            }
        }
        Err(error) => log.warn(format!(
            "{}: nobody will be able to see what this process is doing: {error}",
            path.display()
        )),
    }
}

/// A stage of the start begins.
pub(crate) fn enter(stage: Starting) {
    if let Some(heartbeat) = RECORD.get() {
        heartbeat.enter_start(stage);
    }
}

/// From now on the run writes into the record, if there is one.
pub(crate) fn connect(run: &mut Run) {
    if let Some(heartbeat) = RECORD.get() {
        run.machine.beat_into(*heartbeat);
        run.dispatcher.beat_into(*heartbeat);
    }
    let here =
        ranks_here().and_then(|ranks| Some(Records { folder: FOLDER.get()?.clone(), ranks }));
    if let Some(records) = here {
        run.machine.ranks.read_records(records);
    }
}

/// The ranks whose processes run on this machine.
fn ranks_here() -> Option<std::ops::Range<usize>> {
    let number = |name| std::env::var(name).ok()?.parse::<usize>().ok();
    let first = number("RANK")?.checked_sub(number("LOCAL_RANK")?)?;
    Some(first..first + number("LOCAL_WORLD_SIZE")?)
}
