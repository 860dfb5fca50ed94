//! `snaphook launch`: starts the ranks of a job. What train and test get is checked once, before there are any.
//! Knows nothing of processes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::CommandFactory;
use clap::error::ErrorKind;
use nix::sys::signal::SigSet;
use snaphook_launch::{AnyProgram, LaunchArguments, LaunchPlan, Launcher, Program, Variables};

use super::train;
use crate::args::{Cli, Command, RankArguments, Resume, TrainArguments};
use crate::{CliError, Exit, asking_signals, report};

/// How a file's name ends that says where the logs of a job are.
pub(super) const LOG_DIR_POINTER: &str = ".log_dir";
/// What a run's folder has the path of its newest checkpoint in.
const LAST_CHECKPOINT: &str = "last_checkpoint";

pub(super) fn launch(flags: &LaunchArguments) -> Result<Exit, CliError> {
    let name = snaphook_launch::log_folder_name();
    let (job, work_dir) = Job::of(&flags.program)?;
    let folder = work_dir.clone().unwrap_or_else(|| PathBuf::from("launch_logs"));
    let log_dir = folder.join(&name);
    let plan = LaunchPlan::new(flags, &Variables::of_process(), job.command()?, log_dir)?;
    if let Some(work_dir) = &work_dir
        && let Err(error) = leave_pointer(work_dir, &name, &plan.log_dir)
    {
        // The work folder of a machine on which nothing is saved need not be one.
        report::print_warning(&format!(
            "{}: `snaphook runs where` will not find this job from here: {error}",
            work_dir.display()
        ));
    }
    let code = snaphook_launch::launch(&plan, job.program())?;
    // Any code that a rank may end with; everything of the launch has been put away.
    std::process::exit(code.into());
}

/// Says in the work folder where the logs of this job are, if they are elsewhere.
fn leave_pointer(work_dir: &Path, name: &str, log_dir: &Path) -> std::io::Result<()> {
    // With links and `..` a path does not tell where it leads before its folder is there. Where it cannot be, the launch
    // says so.
    let _ = std::fs::create_dir_all(log_dir);
    let Ok(log_dir) = std::fs::canonicalize(log_dir) else { return Ok(()) };
    if std::fs::canonicalize(work_dir).is_ok_and(|work_dir| log_dir.starts_with(work_dir)) {
        return Ok(());
    }
    std::fs::create_dir_all(work_dir)?;
    let pointer = work_dir.join(format!("{name}{LOG_DIR_POINTER}"));
    std::fs::write(pointer, log_dir.as_os_str().as_encoded_bytes())
}

/// What the ranks run.
enum Job {
    /// `train` or `test`, with all that follows.
    Own { words: Vec<OsString>, program: Box<dyn Program> },
    /// Anything else.
    Other { words: Vec<OsString> },
}

impl Job {
    /// Also the work folder of an own run, if its config can be read.
    fn of(words: &[OsString]) -> Result<(Job, Option<PathBuf>), CliError> {
        let is_own = words.first().is_some_and(|word| word == "train" || word == "test");
        let line = std::iter::once(OsString::from("snaphook")).chain(words.iter().cloned());
        let read = || Cli::read(line).unwrap_or_else(|error| error.exit()).command;
        let words = words.to_vec();
        let (program, work_dir): (Box<dyn Program>, PathBuf) = match is_own.then(read) {
            Some(Command::Train(arguments)) => {
                refuse_other_launchers(arguments.ranks);
                let work_dir = train::check_train(&arguments, train::Warnings::Kept)?;
                (Box::new(Training::new(&arguments, &work_dir)), work_dir)
            }
            Some(Command::Test(arguments)) => {
                refuse_other_launchers(arguments.ranks);
                (Box::new(Testing), train::check_test(&arguments, train::Warnings::Kept)?)
            }
            _ => return Ok((Job::Other { words }, None)),
        };
        Ok((Job::Own { words, program }, Some(work_dir)))
    }

    fn command(&self) -> Result<(OsString, Vec<OsString>), CliError> {
        match self {
            Job::Own { words, .. } => {
                Ok((std::env::current_exe()?.into_os_string(), words.clone()))
            }
            Job::Other { words } => {
                let (program, arguments) = words.split_first().map_or_else(
                    || (OsString::new(), Vec::new()),
                    |(program, arguments)| (program.clone(), arguments.to_vec()),
                );
                Ok((program, arguments))
            }
        }
    }

    fn program(&self) -> &dyn Program {
        match self {
            Job::Own { program, .. } => program.as_ref(),
            Job::Other { .. } => &AnyProgram,
        }
    }
}

/// Each rank would train alone, all into one folder, or look for another launcher.
fn refuse_other_launchers(ranks: RankArguments) {
    if !matches!(ranks.launcher, None | Some(Launcher::Pytorch)) {
        let message = "--launcher: the launcher is this one here, expected pytorch or nothing";
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
}

/// A run that can go on from its last checkpoint.
struct Training {
    last_checkpoint: PathBuf,
    /// What was there before the job.
    before: Option<(SystemTime, String)>,
    /// The checkpoint that the first start goes on from.
    resumes_from: Option<PathBuf>,
}

impl Training {
    fn new(arguments: &TrainArguments, work_dir: &Path) -> Training {
        let last_checkpoint = work_dir.join(LAST_CHECKPOINT);
        let before = stamp(&last_checkpoint);
        let resumes_from = match arguments.resume() {
            Some(Resume::From(path)) => Some(path),
            _ => None,
        };
        Training { last_checkpoint, before, resumes_from }
    }
}

/// Whether a run that ended with this code may end otherwise the next time.
fn may_end_otherwise(code: u8) -> bool {
    code != Exit::Input.code() && code != Exit::Usage.code()
}

/// A test, which begins anew.
struct Testing;

impl Program for Testing {
    fn is_worth_a_restart(&self, code: u8) -> bool {
        may_end_otherwise(code)
    }

    fn restarted(&self, arguments: &[OsString], _: Option<&str>) -> (Vec<OsString>, String) {
        (arguments.to_vec(), "from its beginning".to_owned())
    }

    fn held_signals(&self) -> SigSet {
        asking_signals()
    }
}

/// When a file was written, and what it says.
fn stamp(path: &Path) -> Option<(SystemTime, String)> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    Some((written, std::fs::read_to_string(path).ok()?))
}

impl Program for Training {
    fn is_worth_a_restart(&self, code: u8) -> bool {
        may_end_otherwise(code)
    }

    fn saved(&self) -> Option<String> {
        let now = stamp(&self.last_checkpoint).filter(|now| Some(now) != self.before.as_ref());
        now.map(|(_, checkpoint)| checkpoint.trim().to_owned())
    }

    fn restarted(&self, arguments: &[OsString], saved: Option<&str>) -> (Vec<OsString>, String) {
        match saved {
            Some(checkpoint) => {
                let arguments = resuming(arguments, self.resumes_from.as_deref());
                (arguments, format!("from {checkpoint}"))
            }
            None => {
                (arguments.to_vec(), "as at first: it saved no checkpoint in between".to_owned())
            }
        }
    }

    fn held_signals(&self) -> SigSet {
        asking_signals()
    }
}

/// The same line with a bare `--resume`, at its end so that no word is taken for a path.
fn resuming(arguments: &[OsString], from: Option<&Path>) -> Vec<OsString> {
    let mut line: Vec<OsString> = Vec::new();
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--resume" {
            words.next_if(|next| from.is_some_and(|path| path.as_os_str() == next.as_os_str()));
        } else if !starts_with(word, "--resume=") {
            line.push(word.clone());
        }
    }
    line.push("--resume".into());
    line
}

fn starts_with(word: &OsStr, start: &str) -> bool {
    word.as_encoded_bytes().starts_with(start.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn training(line: &str, work_dir: &Path) -> Training {
        let line = format!("snaphook {line}");
        let Command::Train(arguments) = Cli::read(line.split_whitespace()).unwrap().command else {
            panic!("{line}");
        };
        Training::new(&arguments, work_dir)
    }

    #[test]
    fn a_restart_resumes_what_this_job_saved() {
        let folder = tempfile::tempdir().unwrap();
        let last = folder.path().join(LAST_CHECKPOINT);
        for (line, resumed) in [
            ("train a.py lr=1", "train a.py lr=1 --resume"),
            ("train a.py --resume", "train a.py --resume"),
            ("train a.py --resume w/epoch_1 --seed 1", "train a.py --seed 1 --resume"),
            ("train a.py --resume=w/epoch_1 lr=1", "train a.py lr=1 --resume"),
            ("train a.py --resume --cfg-options a=1", "train a.py --cfg-options a=1 --resume"),
        ] {
            std::fs::write(&last, "/old/epoch_9").unwrap();
            let job = training(line, folder.path());
            let restarted = |job: &Training| job.restarted(&words(line), job.saved().as_deref());
            assert_eq!(restarted(&job).0, words(line), "nothing was saved: {line}");
            std::fs::write(&last, "/w/epoch_2\n").unwrap();
            let (arguments, from) = restarted(&job);
            assert_eq!(arguments, words(resumed));
            assert_eq!(from, "from /w/epoch_2");
        }
    }

    #[test]
    fn only_what_unblocks_signals_is_started_with_some_blocked() {
        assert_eq!(training("train a.py", Path::new("w")).held_signals(), asking_signals());
        assert_eq!(Testing.held_signals(), asking_signals());
        let (other, _) = Job::of(&words("python a.py")).unwrap();
        assert_eq!(other.program().held_signals(), SigSet::empty());
    }

    #[test]
    fn a_wrong_config_is_not_tried_again() {
        let training = training("train a.py", Path::new("w"));
        for job in [&training as &dyn Program, &Testing] {
            assert_eq!(
                [1, 2, 3, 139].map(|code| job.is_worth_a_restart(code)),
                [false, false, true, true]
            );
        }
    }

    #[test]
    fn a_work_folder_says_where_logs_are_that_are_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        leave_pointer(&work, "launch_1", &work.join("logs")).unwrap();
        let pointer = work.join("launch_1.log_dir");
        assert!(!pointer.exists(), "they are found from there");
        let elsewhere = std::fs::canonicalize(folder.path()).unwrap().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, work.join("link")).unwrap();
        for log_dir in [elsewhere.clone(), work.join("../elsewhere"), work.join("link")] {
            leave_pointer(&work, "launch_1", &log_dir).unwrap();
            let said = std::fs::read_to_string(&pointer).unwrap();
            assert_eq!(Path::new(&said), elsewhere, "{}", log_dir.display());
            std::fs::remove_file(&pointer).unwrap();
        }
    }
}
