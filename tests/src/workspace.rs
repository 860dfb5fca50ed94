//! A temporary folder with all that a small run needs. Knows nothing of what a test changes in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use snaphook_data::shapes::ShapesOptions;
use tempfile::TempDir;

use crate::{Outcome, Running, programs, start};

/// Three epochs of two batches on drawn pictures, each followed by a validation of two batches.
const TINY: &str = include_str!("../fixtures/tiny.py");

/// The drawn data set that goes with it.
const PICTURES: ShapesOptions = ShapesOptions { train: 4, val: 4, size: 64, seed: 7 };

/// A folder of one test: `tiny.py`, `data/`, `plugins/` and, after a run, `work/`.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
}

impl Default for Workspace {
    fn default() -> Self {
        Workspace::new()
    }
}

impl Workspace {
    /// A new one with data and config, without plugins.
    pub fn new() -> Workspace {
        let folder = tempfile::tempdir().unwrap();
        PICTURES.draw_into(&folder.path().join("data")).unwrap();
        let workspace = Workspace { folder };
        workspace.write("tiny.py", TINY);
        workspace
    }

    /// A new one whose config goes on with these lines.
    pub fn with(lines: &str) -> Workspace {
        let workspace = Workspace::new();
        workspace.write("tiny.py", format!("{TINY}{lines}\n"));
        workspace
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder in it.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, with its folders.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        let path = self.file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Copies a plugin into `plugins/`, beside the config.
    pub fn add_plugin(&self, library: &Path) -> PathBuf {
        let name = library.file_name().unwrap().to_str().unwrap();
        self.write(&format!("plugins/{name}"), std::fs::read(library).unwrap())
    }

    /// The folder of checkpoints and logs.
    pub fn work(&self) -> PathBuf {
        self.file("work")
    }

    /// `snaphook …` in this folder, with none of the caller's settings.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(programs().snaphook());
        self.set_up(&mut command);
        command.args(arguments);
        command
    }

    /// Gives any command this folder and an environment of its own.
    pub fn set_up(&self, command: &mut Command) {
        command.current_dir(self.path());
        let ours = ["LIBTORCH", "LD_LIBRARY_PATH", "RUST_LOG", "RUST_BACKTRACE"];
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ours.contains(&&*text) || text.starts_with("SNAPHOOK_") || text.starts_with("CARGO")
            {
                command.env_remove(&name);
            }
        }
        command.env("HOME", self.path()).env("XDG_DATA_HOME", self.file("share"));
        command.env("XDG_CACHE_HOME", self.file(".cache"));
        // Servers of tests are on this machine, and no proxy leads to them.
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        // Tests run side by side; a run that takes all cores for itself makes every other one wait.
        command.env("OMP_NUM_THREADS", "1");
    }

    /// Runs `snaphook …` to its end.
    pub fn snaphook<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        start(self.command(arguments)).wait()
    }

    /// Runs `snaphook train tiny.py --work-dir work …` to its end.
    pub fn train(&self, arguments: &[&str]) -> Outcome {
        self.start_training(arguments).wait()
    }

    /// Starts `snaphook train tiny.py --work-dir work …`.
    pub fn start_training(&self, arguments: &[&str]) -> Running {
        let fixed = ["train", "tiny.py", "--work-dir", "work"];
        start(self.command(fixed.iter().chain(arguments)))
    }
}
