//! A folder with configs in which the built `snaphook` runs.

use std::path::Path;
use std::process::{Command, Output};

/// The folder; gone when it is dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// Files by name and text.
    pub(crate) fn with(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command of `snaphook` that sees nothing of the user's own folders.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("XDG_DATA_HOME", self.path().join("data"));
        command.env_remove("SNAPHOOK_PLUGIN_PATH").env_remove("SNAPHOOK_CONFIG_PATH");
        command
    }

    /// Exit code, stdout and stderr of a command line.
    #[allow(dead_code)] // not every test program runs it this way
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let program = env!("CARGO_BIN_EXE_snaphook");
        let Output { status, stdout, stderr } =
            self.command(program).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}
