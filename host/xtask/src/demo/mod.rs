//! `cargo xtask demo`: from a checked-out repository to a trained detector.
//!
//! Runs the built programs as a user would; links nothing of Snaphook. All that it writes is in
//! `<target>/demo`:
//!
//! ```text
//! data/           drawn pictures, drawn anew each time
//! run-1/ run-2/   one work folder per demo
//! run-1.py        the recipe of that run
//! ```

mod outcome;
mod recipe;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checks::cargo_program;
use crate::repository::{Profile, Repository};
use crate::steps::{StartError, Step, run};

pub(crate) use recipe::Numbers;

/// Why the demo could not run; a step that ran and failed has spoken for itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),

    #[error("{}: cannot {doing}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl DemoError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

/// Builds, draws, trains, and tells where to look; returns the exit code of the step that failed.
pub(crate) fn run_demo(repository: &Repository, numbers: &Numbers) -> Result<u8, DemoError> {
    let root = repository.target().join("demo");
    let data = root.join("data");
    fs::create_dir_all(&root).map_err(DemoError::io("make this folder", &root))?;
    let (work_folder, config) = new_run(&root)?;
    let text = recipe::write(numbers, &data, &work_folder.join("trace.jsonl"));
    fs::write(&config, text).map_err(DemoError::io("write it", &config))?;
    for step in [
        build(repository)?,
        draw(repository, &data, numbers)?,
        train(repository, &config, &work_folder, numbers),
    ] {
        eprintln!("\n=== demo: {} ===", step.name);
        let outcome = run(step)?;
        eprintln!("=== {outcome} ===");
        if outcome.exit_code != 0 {
            return Ok(outcome.exit_code);
        }
    }
    println!("\n{}", outcome::where_to_look(&config, &work_folder));
    Ok(0)
}

fn build(repository: &Repository) -> Result<Step, DemoError> {
    let mut command = Command::new(cargo_program());
    command.current_dir(repository.root()).args(["build", "--release"]);
    command.args(["-p", "snaphook-cli", "-p", "snaphook-trainer"]);
    for package in plugin_packages(&repository.root().join("plugins"))? {
        command.args(["-p", &package]);
    }
    Ok(Step { name: "build".into(), command })
}

fn draw(repository: &Repository, data: &Path, numbers: &Numbers) -> Result<Step, DemoError> {
    if data.exists() {
        fs::remove_dir_all(data).map_err(DemoError::io("remove it", data))?;
    }
    let mut command = Command::new(repository.program(Profile::Release, "snaphook-trainer"));
    command.arg("draw-demo").arg(data).args(["--seed", &numbers.seed.to_string()]);
    Ok(Step { name: "draw pictures".into(), command })
}

fn train(repository: &Repository, config: &Path, work_folder: &Path, numbers: &Numbers) -> Step {
    let mut command = Command::new(repository.program(Profile::Release, "snaphook"));
    command.arg("train").arg(config).arg("--work-dir").arg(work_folder);
    command.args(["--seed", &numbers.seed.to_string()]);
    Step { name: "train".into(), command }
}

/// Takes the first free number; making the folder is the claim, so two demos never share one.
fn new_run(root: &Path) -> Result<(PathBuf, PathBuf), DemoError> {
    let mut number = 1;
    loop {
        let folder = root.join(format!("run-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok((folder, root.join(format!("run-{number}.py")))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(DemoError::io("make this folder", &folder)(error)),
        }
    }
}

/// The package names of all plugins of this repository.
fn plugin_packages(plugins: &Path) -> Result<Vec<String>, DemoError> {
    let entries = fs::read_dir(plugins).map_err(DemoError::io("list it", plugins))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("Cargo.toml")).ok())
        .filter_map(|manifest| package_name(&manifest))
        .collect();
    names.sort();
    Ok(names)
}

fn package_name(manifest: &str) -> Option<String> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("name"))?;
    let value = line.trim_start().strip_prefix('=')?.trim();
    Some(value.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_gets_a_work_folder_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let first = new_run(root.path()).unwrap();
        let second = new_run(root.path()).unwrap();
        assert_eq!(first.0, root.path().join("run-1"));
        assert_eq!(second.1, root.path().join("run-2.py"));
    }

    #[test]
    fn the_package_name_is_read_from_a_manifest() {
        assert_eq!(package_name("[package]\nname = \"trace\"\n").as_deref(), Some("trace"));
        assert_eq!(package_name("[workspace]\n"), None);
    }

    #[test]
    fn all_plugins_of_the_repository_are_built() {
        let plugins = Repository::of_this_program().root().join("plugins");
        let names = plugin_packages(&plugins).unwrap();
        let folders =
            fs::read_dir(plugins).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(names.len(), folders.count());
    }
}
