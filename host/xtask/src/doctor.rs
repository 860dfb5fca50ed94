//! `cargo xtask doctor`: what this machine has of what a build needs, each with the way out.
//!
//! Changes nothing and downloads nothing.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::environment::Environment;
use crate::libtorch::{
    Cache, Choice, LibtorchError, Pip, Recipe, VERSION, choose, find_compiler, free_bytes, inspect,
    linked_folder,
};
use crate::repository::{Profile, Repository};

/// What was found of one thing.
struct Finding {
    name: &'static str,
    state: State,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Good to know; nothing depends on it now.
    Note,
    Missing,
}

/// Prints all findings; true if nothing that a build needs is missing.
pub(crate) fn report(repository: &Repository, environment: &Environment) -> bool {
    let libtorch = libtorch(repository, environment);
    // Python and pip are only for the download.
    let is_set_up = libtorch.state == State::Ok;
    let mut findings = vec![rustc(), compiler(environment)];
    findings.extend(pip(environment, is_set_up));
    findings.extend([cache(environment), libtorch, space(repository), cpus(), memory()]);
    findings.extend(programs(repository));
    for finding in &findings {
        println!("{finding}");
    }
    findings.iter().all(|finding| finding.state != State::Missing)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Missing => "MISSING",
        };
        write!(f, "{:<18}{state:<9}{}", self.name, self.text)
    }
}

fn finding(name: &'static str, state: State, text: impl fmt::Display) -> Finding {
    Finding { name, state, text: text.to_string() }
}

fn rustc() -> Finding {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    match first_line(Command::new(program).arg("--version")) {
        Some(version) => finding("rustc", State::Ok, version),
        None => finding("rustc", State::Missing, "expected rustc on PATH (see rustup.rs)"),
    }
}

fn compiler(environment: &Environment) -> Finding {
    match find_compiler(environment) {
        Ok(compiler) => {
            let version = first_line(Command::new(&compiler.program).arg("--version"));
            let text = version.unwrap_or_else(|| compiler.program.display().to_string());
            finding("C++ compiler", State::Ok, text)
        }
        Err(error) => finding("C++ compiler", State::Missing, error),
    }
}

fn pip(environment: &Environment, is_set_up: bool) -> [Finding; 2] {
    let absent = if is_set_up { State::Note } else { State::Missing };
    let python = environment.find_program("python3").and_then(|program| {
        let version = first_line(Command::new(&program).arg("--version"))?;
        Some(format!("{version} ({})", program.display()))
    });
    let python = match python {
        Some(text) => finding("python3", State::Ok, text),
        None => finding("python3", absent, LibtorchError::NoPython),
    };
    let pip = match Pip::find(environment) {
        Ok(pip) => finding("pip", State::Ok, pip.version),
        Err(error) => finding("pip", absent, error),
    };
    [python, pip]
}

fn cache(environment: &Environment) -> Finding {
    match Cache::locate(environment) {
        Ok(cache) if cache.root().is_dir() => {
            finding("cache folder", State::Ok, cache.root().display())
        }
        Ok(cache) => {
            let text = format!("{} (made when it is needed)", cache.root().display());
            finding("cache folder", State::Note, text)
        }
        Err(error) => finding("cache folder", State::Note, error),
    }
}

fn libtorch(repository: &Repository, environment: &Environment) -> Finding {
    let (found, how) = match choose(environment, repository) {
        Choice::PyTorch => {
            (crate::libtorch::prepare(repository, environment, false), "by LIBTORCH_USE_PYTORCH")
        }
        Choice::Own(folder) => (inspect(&folder, "LIBTORCH", environment), "by LIBTORCH"),
        Choice::Linked => match linked_folder(&repository.libtorch_link()) {
            Some(folder) => (inspect(&folder, ".libtorch", environment), "by the link .libtorch"),
            None => return not_assembled(),
        },
    };
    match found {
        Ok(installed) => {
            let text = format!("{} in {}, {how}", installed.version, installed.folder.display());
            finding("libtorch", State::Ok, text)
        }
        Err(error) => finding("libtorch", State::Missing, error),
    }
}

fn not_assembled() -> Finding {
    match Recipe::for_this_machine() {
        Ok(_) => {
            let text = format!("expected {VERSION}, found none (run `cargo xtask libtorch`)");
            finding("libtorch", State::Missing, text)
        }
        Err(error) => finding("libtorch", State::Missing, error),
    }
}

fn space(repository: &Repository) -> Finding {
    const WANTED_GB: f64 = 6.0;
    let target = repository.target();
    let Some(free) = free_bytes(target) else {
        return finding("disk space", State::Note, format!("unknown for {}", target.display()));
    };
    let free_gb = free as f64 / 1e9;
    let text = format!("{free_gb:.1} GB free for {}", target.display());
    if free_gb < WANTED_GB {
        let text = format!("{text} (debug and release builds take about {WANTED_GB} GB)");
        return finding("disk space", State::Note, text);
    }
    finding("disk space", State::Ok, text)
}

fn cpus() -> Finding {
    match std::thread::available_parallelism() {
        Ok(count) => finding("CPUs", State::Ok, count),
        Err(error) => finding("CPUs", State::Note, error),
    }
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gb = |key: &str| Some(meminfo_kib(&text, key)? * 1024.0 / 1e9);
    match (gb("MemTotal:"), gb("MemAvailable:")) {
        (Some(total), Some(free)) => {
            finding("memory", State::Ok, format!("{total:.1} GB, {free:.1} GB available"))
        }
        _ => finding("memory", State::Note, "unknown on this system"),
    }
}

fn meminfo_kib(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn programs(repository: &Repository) -> Vec<Finding> {
    let all = [
        ("debug build", Profile::Debug, "run `cargo build`"),
        ("release build", Profile::Release, "run `cargo build --release` or `cargo xtask demo`"),
    ];
    all.map(|(name, profile, way_out)| {
        let paths = ["snaphook", "snaphook-trainer"].map(|name| repository.program(profile, name));
        let missing: Vec<&Path> =
            paths.iter().map(|path| path.as_path()).filter(|path| !path.exists()).collect();
        match missing.first() {
            None => finding(name, State::Ok, paths[0].display()),
            Some(path) => {
                finding(name, State::Note, format!("{} not built ({way_out})", path.display()))
            }
        }
    })
    .into()
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_key() {
        let text = "MemTotal:       24000000 kB\nMemFree: 1 kB\n";
        assert_eq!(meminfo_kib(text, "MemTotal:"), Some(24_000_000.0));
        assert_eq!(meminfo_kib(text, "MemAvailable:"), None);
    }

    #[test]
    fn an_absent_pip_only_matters_before_set_up() {
        let environment = Environment::of([("PATH", "/nowhere")]);
        assert!(pip(&environment, true).iter().all(|finding| finding.state == State::Note));
        assert!(pip(&environment, false).iter().all(|finding| finding.state == State::Missing));
    }

    #[test]
    fn an_unprepared_repository_is_told_the_command() {
        let root = tempfile::tempdir().unwrap();
        let found = libtorch(&Repository::at(root.path()), &Environment::default());
        assert_eq!(found.state, State::Missing);
        assert!(found.text.contains("cargo xtask libtorch"), "{}", found.text);
    }
}
