//! `cargo xtask leaks`: every plugin of the folder `plugins` under valgrind, a hundred lives of each hook.
//!
//! Knows nothing of what a plugin does; which arguments make it do something is in its `check.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checks::cargo_program;
use crate::repository::{Profile, Repository};
use crate::steps::{StartError, Step, Summary, run};

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaksError {
    #[error("{}: cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Builds, tries each plugin, and returns 0 if nothing of any is lost, else 1.
pub(crate) fn find_leaks(repository: &Repository) -> Result<u8, LeaksError> {
    let mut build = Command::new(cargo_program());
    // As the checks do, so that nothing is compiled twice.
    build.args(["build", "--workspace", "--lib", "--bins", "--tests"]);
    build.current_dir(repository.root());
    let built = run(Step { name: "build".into(), command: build })?;
    if built.exit_code != 0 {
        return Ok(built.exit_code);
    }
    let mut outcomes = Vec::new();
    let steps = steps(repository)?;
    let names: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
    // One that leaks keeps no other from being tried.
    for step in steps {
        outcomes.push(run(step)?);
    }
    eprintln!("\n{}", Summary { all: &names, outcomes: &outcomes });
    Ok(u8::from(outcomes.iter().any(|outcome| outcome.exit_code != 0)))
}

fn steps(repository: &Repository) -> Result<Vec<Step>, LeaksError> {
    let folder = repository.root().join("plugins");
    let unreadable = |path: &Path, source| LeaksError::Unreadable { path: path.into(), source };
    let entries = fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))?;
    let mut crates: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    crates.retain(|path| path.join("Cargo.toml").is_file());
    crates.sort();
    let step = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let library = format!("lib{}.so", name.replace('-', "_"));
        let mut command = Command::new(repository.program(Profile::Debug, "snaphook"));
        command.args(["plugins", "check", "--valgrind"]);
        let arguments = folder.join("check.json");
        match fs::read_to_string(&arguments) {
            Ok(text) => command.args(["--kwargs", text.trim()]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => &mut command,
            Err(source) => return Err(unreadable(&arguments, source)),
        };
        command.arg(repository.target().join(Profile::Debug.folder()).join(library));
        Ok(Step { name: name.into(), command })
    };
    crates.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn every_plugin_is_tried_with_its_own_arguments() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b-hook", "a-hook", "no-crate"] {
            fs::create_dir_all(root.path().join("plugins").join(name)).unwrap();
        }
        for name in ["a-hook", "b-hook"] {
            fs::write(root.path().join("plugins").join(name).join("Cargo.toml"), "").unwrap();
        }
        fs::write(root.path().join("plugins/a-hook/check.json"), "{\"out\": 1}\n").unwrap();
        let steps = steps(&Repository::at(root.path())).unwrap();
        let names: Vec<_> = steps.iter().map(|step| step.name.as_ref()).collect();
        assert_eq!(names, ["a-hook", "b-hook"]);
        let arguments: Vec<&OsStr> = steps[0].command.get_args().collect();
        assert_eq!(arguments[3..5], ["--kwargs", "{\"out\": 1}"]);
        assert!(arguments[5].to_string_lossy().ends_with("debug/liba_hook.so"), "{arguments:?}");
        assert_eq!(steps[1].command.get_args().count(), 4);
    }
}
