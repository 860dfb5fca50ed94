//! Finds the program that trains and turns this process into it. Knows nothing of its arguments.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use snaphook_launch::{Contract, RANK_VARIABLES};

use crate::CliError;

const NAME: &str = "snaphook-trainer";

/// What must stand in the environment before libtorch is loaded; a value of the user's own wins.
///
/// OpenMP's threads spin a short while before they sleep, not libgomp's long while: as fast on idle cores, and on
/// cores that others use too a long spin makes training several times slower. The allocator keeps freed memory:
/// batches come and go, and taking their pages anew costs about 5 % of a step of YOLOX-nano. libtorch's own warnings about
/// connections, with their stacks of addresses, come back in the run's errors; nobody reads its record of collectives.
const SETTINGS: [(&str, &str); 6] = [
    ("GOMP_SPINCOUNT", "10000"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "536870912"),
    ("MALLOC_TOP_PAD_", "67108864"),
    ("TORCH_CPP_LOG_LEVEL", "FATAL"),
    ("TORCH_FR_BUFFER_SIZE", "0"),
];

/// The trainer beside this program, else the first one on PATH.
///
/// Errors: there is none; the way out is in the message.
pub(crate) fn find() -> Result<PathBuf, CliError> {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("")).to_path_buf();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&on_path));
    match folders.map(|folder| folder.join(NAME)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => Err(CliError::TrainerMissing { build: build_command(&folder), folder }),
    }
}

/// The command that puts a trainer into `folder`.
fn build_command(folder: &Path) -> &'static str {
    if folder.ends_with("debug") {
        "cargo build -p snaphook-trainer"
    } else {
        "cargo build --release -p snaphook-trainer"
    }
}

/// Goes on as the trainer, whose exit code and signals are then this command's; its place in a job is said in torchrun's
/// variables, whoever started it. Returns only on an error.
pub(crate) fn become_it(
    arguments: impl Iterator<Item = OsString>,
    contract: &Contract,
) -> CliError {
    match find() {
        Ok(path) => {
            let mut trainer = Command::new(&path);
            trainer.args(arguments);
            for (name, value) in SETTINGS {
                if std::env::var_os(name).is_none() {
                    trainer.env(name, value);
                }
            }
            match &contract.place {
                Some(place) => {
                    trainer.envs(place.variables());
                }
                None => RANK_VARIABLES.iter().for_each(|name| {
                    trainer.env_remove(name);
                }),
            }
            hold_back_signals();
            let source = trainer.exec();
            CliError::TrainerStart { path, source }
        }
        Err(error) => error,
    }
}

/// Signals that ask a run to save and end, and SIGUSR2, which asks it for nothing: those that the trainer hears.
pub fn asking_signals() -> SigSet {
    use Signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT].into_iter().collect()
}

/// Such a signal waits until the trainer, which takes a moment to load, can do what it asks for.
fn hold_back_signals() {
    // Fails for sets that are none, and this one is.
    let _ = asking_signals().thread_block();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_command_fits_the_folder() {
        assert_eq!(build_command(Path::new("target/debug")), "cargo build -p snaphook-trainer");
        assert!(build_command(Path::new("/usr/bin")).contains("--release"));
    }
}
