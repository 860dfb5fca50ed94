//! The record of what this process is doing, for the launcher and for people. Knows nothing of what is in it.

use std::path::{Path, PathBuf};

use snaphook_heartbeat::{Heartbeat, PATH_VARIABLE, WORDS};
use snaphook_runner::Run;
use snaphook_runner::log::RunLogger;

/// Begins the record that the launcher asked for, if it did; before anything takes long.
pub(crate) fn begin(log: &RunLogger) -> Option<Heartbeat> {
    open(&PathBuf::from(std::env::var_os(PATH_VARIABLE)?), log)
}

/// Begins one in the run's folder, for a process of several whose launcher asked for none.
pub(crate) fn begin_in(run_dir: &Path, log: &RunLogger) -> Option<Heartbeat> {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    let (rank, world_size) = (number("RANK")?, number("WORLD_SIZE")?);
    let is_asked_for = std::env::var_os(PATH_VARIABLE).is_some();
    if world_size < 2 || is_asked_for {
        return None;
    }
    open(&run_dir.join(format!("rank_{rank}.heartbeat")), log)
}

fn open(path: &Path, log: &RunLogger) -> Option<Heartbeat> {
    match snaphook_loader::share_words(path, WORDS) {
        Ok(words) => Heartbeat::over(words),
        Err(error) => {
            let path = path.display();
            log.warn(format!(
                "{path}: nobody will be able to see what this process is doing: {error}"
            ));
            None
        }
    }
}

/// From now on the run writes into it.
pub(crate) fn connect(run: &mut Run, heartbeat: Option<Heartbeat>) {
    if let Some(heartbeat) = heartbeat {
        run.machine.beat_into(heartbeat);
        run.dispatcher.beat_into(heartbeat);
    }
}
