//! The programs and plugins of this repository as they were built, and building them where that was not
//! done. Knows nothing of what they do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set to take the programs as they lie there.
const NO_BUILD: &str = "SNAPHOOK_TESTS_NO_BUILD";

/// Where the built programs lie.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The folder of programs and plugins: `target/debug`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What people type.
    pub fn snaphook(&self) -> PathBuf {
        self.folder.join("snaphook")
    }

    /// The program that trains.
    pub fn trainer(&self) -> PathBuf {
        self.folder.join("snaphook-trainer")
    }

    /// The folder that holds every profile's: `target`.
    pub fn target(&self) -> &Path {
        self.folder.parent().unwrap()
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The programs beside this test; cargo is asked once per process whether they are fresh.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().and_then(Path::parent).unwrap().to_path_buf();
        let programs = Programs { folder };
        if std::env::var_os(NO_BUILD).is_none() {
            build(&programs);
        }
        for program in [programs.snaphook(), programs.trainer()] {
            assert!(program.is_file(), "{}: not built", program.display());
        }
        programs
    })
}

/// A `cargo` without what the outer cargo told the test about itself.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") {
            command.env_remove(&name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH").env_remove("CARGO_TARGET_DIR");
    command
}

fn build(programs: &Programs) {
    // The same packages as `cargo xtask test` builds, and a test among the targets, so that cargo chooses
    // the same features and compiles nothing twice.
    let mut command = cargo();
    command.current_dir(repository()).args(["build", "--quiet", "--workspace", "--lib"]);
    command.args(["--bin", "snaphook", "--bin", "snaphook-trainer", "--test", "suite"]);
    command.arg("--target-dir").arg(programs.target());
    match programs.folder.file_name().unwrap().to_str().unwrap() {
        "debug" => {}
        profile => {
            command.args(["--profile", profile]);
        }
    }
    let status = command.status().unwrap();
    assert!(status.success(), "the programs cannot be built: {command:?}");
}
