//! Downloads wheels with the user's own pip, which knows their proxies, mirrors and certificates.
//!
//! Knows nothing of what is in a wheel. The wheels are chosen by explicit tags, so neither the
//! version nor the platform of the local Python matters.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::cache::CacheLock;
use super::error::LibtorchError;
use super::recipe::Wheel;
use super::space::free_bytes;
use crate::environment::Environment;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How many of pip's last lines an error shows.
const TAIL_LINES: usize = 6;

/// A pip that runs.
#[derive(Debug, Clone)]
pub(crate) struct Pip {
    program: PathBuf,
    first_arguments: &'static [&'static str],
    /// What `pip --version` says.
    pub(crate) version: String,
}

/// The folders of one download, and who may stop it.
pub(crate) struct Workplace<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) lock: &'a CacheLock,
    pub(crate) interrupt: &'a Interrupt,
}

impl Pip {
    /// Tries the ways in which pip is usually installed.
    pub(crate) fn find(environment: &Environment) -> Result<Self, LibtorchError> {
        const MODULE: &[&str] = &["-m", "pip"];
        let ways: [(&str, &[&str]); 4] =
            [("python3", MODULE), ("python", MODULE), ("pip3", &[]), ("pip", &[])];
        let mut has_python = false;
        for (name, first_arguments) in ways {
            let Some(program) = environment.find_program(name) else { continue };
            has_python |= name.starts_with("python");
            let output = Command::new(&program).args(first_arguments).arg("--version").output();
            if let Some(output) = output.ok().filter(|output| output.status.success()) {
                let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                return Ok(Self { program, first_arguments, version });
            }
        }
        Err(if has_python { LibtorchError::NoPip } else { LibtorchError::NoPython })
    }

    /// Downloads one wheel into `place.folder/out` and returns its path.
    pub(crate) fn download(
        &self,
        wheel: &Wheel,
        place: &Workplace,
    ) -> Result<PathBuf, LibtorchError> {
        let (out, scratch) = (place.folder.join("out"), place.folder.join("scratch"));
        for folder in [&out, &scratch] {
            fs::create_dir_all(folder).map_err(LibtorchError::io("make this folder", folder))?;
        }
        let log = place.folder.join("pip.log");
        let child = self.start(wheel, place, &log)?;
        let status = watch(child, wheel, place, &log)?;
        if !status.success() {
            let text = read(&log);
            if is_full(&text, place.folder) {
                let (requirement, folder) = (wheel.requirement.clone(), place.folder.to_path_buf());
                return Err(LibtorchError::DiskFilled { requirement, folder });
            }
            return Err(explain(wheel, status, &text));
        }
        find_wheel(&out, wheel).ok_or_else(|| LibtorchError::NoWheel {
            requirement: wheel.requirement.clone(),
            folder: out,
        })
    }

    fn start(&self, wheel: &Wheel, place: &Workplace, log: &Path) -> Result<Child, LibtorchError> {
        let output = File::create(log).map_err(LibtorchError::io("write there", log))?;
        let errors = output.try_clone().map_err(LibtorchError::io("write there", log))?;
        let lock = place.lock.handle_for_child().map_err(LibtorchError::io("write there", log))?;
        Command::new(&self.program)
            .args(self.first_arguments)
            .args(arguments(wheel, &place.folder.join("out")))
            // Beside the cache, so that one disk counts and the next run can tidy up.
            .env("TMPDIR", place.folder.join("scratch"))
            .env("PYTHONUNBUFFERED", "1")
            // Its own group, so that a wrapper script and the pip behind it can be ended together.
            .process_group(0)
            .stdin(lock)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(LibtorchError::io("start it", &self.program))
    }
}

/// The wheel of this name in a folder, if it is there.
pub(crate) fn find_wheel(folder: &Path, wheel: &Wheel) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| name(path).is_some_and(|name| wheel.is_file(&name)))
}

fn arguments(wheel: &Wheel, out: &Path) -> Vec<OsString> {
    // No pip cache: it would hold another copy of 530 MB that nobody asks for again.
    let fixed = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--implementation=cp",
        "--python-version=3.12",
        "--no-cache-dir",
        "--progress-bar=off",
        "--disable-pip-version-check",
        "--no-input",
    ];
    let mut arguments: Vec<OsString> = fixed.iter().map(OsString::from).collect();
    arguments.push(format!("--platform={}", wheel.platform).into());
    arguments.push("--dest".into());
    arguments.push(out.into());
    arguments.push(wheel.requirement.clone().into());
    arguments
}

/// Waits for pip, showing how far it is; pip's own bar is unreadable for a program before pip 24.1.
fn watch(
    mut child: Child,
    wheel: &Wheel,
    place: &Workplace,
    log: &Path,
) -> Result<ExitStatus, LibtorchError> {
    let mut progress =
        Progress::start(&format!("downloading {}", wheel.requirement), wheel.download_bytes);
    let mut is_total_exact = false;
    loop {
        if let Some(status) = child.try_wait().map_err(LibtorchError::io("wait for pip", log))? {
            if status.success() {
                progress.finish();
            }
            return Ok(status);
        }
        if place.interrupt.is_asked() {
            end(&mut child);
            return Err(LibtorchError::Interrupted);
        }
        if !is_total_exact && let Some(total) = announced_bytes(&read(log)) {
            progress.set_total(total);
            is_total_exact = true;
        }
        progress.at(largest_file_bytes(place.folder));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself just now; then there is nobody left to end.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

fn read(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The size in pip's line "Downloading torch-2.11.0-….whl (530.6 MB)".
fn announced_bytes(log: &str) -> Option<u64> {
    let line = log.lines().rfind(|line| line.trim_start().starts_with("Downloading "))?;
    let (_, size) = line.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let (number, unit) = size.split_once(' ')?;
    let unit_bytes = match unit {
        "bytes" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit_bytes) as u64)
}

/// pip writes into a folder of its own making below the scratch folder; the wheel is the largest file.
fn largest_file_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => largest_file_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

/// pip's log lies on the same disk, so its own words may be cut off.
fn is_full(log: &str, folder: &Path) -> bool {
    const NOTHING_LEFT_BYTES: u64 = 1_000_000;
    log.contains("No space left on device")
        || free_bytes(folder).is_some_and(|free| free < NOTHING_LEFT_BYTES)
}

fn explain(wheel: &Wheel, status: ExitStatus, log: &str) -> LibtorchError {
    const NETWORK: [&str; 10] = [
        "name resolution",
        "Name or service not known",
        "NewConnectionError",
        "Connection refused",
        "Connection broken",
        "IncompleteRead",
        "timed out",
        "unreachable",
        "ProxyError",
        "SSLError",
    ];
    let requirement = wheel.requirement.clone();
    let tail = tail(log);
    let has = |words: &[&str]| words.iter().any(|word| log.contains(word));
    if has(&NETWORK) {
        LibtorchError::Network { requirement, tail }
    } else if has(&["No matching distribution"]) {
        LibtorchError::NotOffered { requirement, platform: wheel.platform.clone(), tail }
    } else {
        LibtorchError::PipFailed { requirement, status: status.to_string(), tail }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    lines[first..].iter().map(|line| format!("  pip: {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libtorch::Recipe;
    use std::os::unix::process::ExitStatusExt;

    fn torch() -> Wheel {
        Recipe::for_this_machine().unwrap().wheels.pop().unwrap()
    }

    #[test]
    fn the_wheel_is_chosen_by_tags_and_not_by_the_local_python() {
        let arguments = arguments(&torch(), Path::new("/out"));
        for expected in ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"] {
            assert!(arguments.iter().any(|argument| argument == expected), "{expected}");
        }
        assert_eq!(arguments.last().unwrap(), "torch==2.11.0");
    }

    #[test]
    fn the_announced_size_is_read_from_old_and_new_pips() {
        let line = "Collecting torch==2.11.0\n  Downloading torch-2.11.0-cp312.whl (530.6 MB)\n";
        assert_eq!(announced_bytes(line), Some(530_600_000));
        assert_eq!(announced_bytes("Downloading a.whl.metadata (29 kB)"), Some(29_000));
        assert_eq!(announced_bytes("Downloading a.whl"), None);
    }

    #[test]
    fn each_failure_of_pip_gets_its_own_words() {
        let say = |log: &str| explain(&torch(), ExitStatus::from_raw(256), log).to_string();
        let offline = "WARNING: Retrying … Temporary failure in name resolution\n\
                       ERROR: No matching distribution found for torch==2.11.0";
        assert!(say(offline).contains("found no working connection"));
        assert!(
            say("ERROR: No matching distribution found").contains("found none where pip looks")
        );
        assert!(is_full("OSError: [Errno 28] No space left on device", Path::new("/")));
        let other = say("line one\nERROR: something else");
        assert!(other.contains("exit status: 1") && other.contains("  pip: ERROR: something else"));
    }

    #[test]
    fn a_python_without_pip_is_told_apart_from_no_python() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::of([("PATH", folder.path().to_str().unwrap())]);
        assert!(matches!(Pip::find(&environment), Err(LibtorchError::NoPython)));
        crate::fake_program::write(folder.path(), "python3", "#!/bin/sh\nexit 1\n");
        assert!(matches!(Pip::find(&environment), Err(LibtorchError::NoPip)));
        crate::fake_program::write(folder.path(), "pip", "#!/bin/sh\necho pip 99.0\n");
        assert_eq!(Pip::find(&environment).unwrap().version, "pip 99.0");
    }
}
