//! Where the parts of this repository and its built programs lie.

use std::path::{Path, PathBuf};

/// The checked-out repository and the folder that cargo builds into.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
}

/// How a program was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// The folder's name under the target folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

impl Repository {
    /// The repository that this program was built from.
    ///
    /// The target folder is the one this program lies in, so `CARGO_TARGET_DIR` and a
    /// `build.target-dir` in a cargo configuration are followed without asking cargo.
    pub(crate) fn of_this_program() -> Self {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.ancestors().nth(2).unwrap_or(&manifest).to_path_buf();
        let target = std::env::current_exe()
            .ok()
            .and_then(|program| program.ancestors().nth(2).map(Path::to_path_buf))
            .unwrap_or_else(|| root.join("target"));
        Self { root, target }
    }

    /// The folder with the workspace's Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The link that `.cargo/config.toml` names as LIBTORCH.
    pub(crate) fn libtorch_link(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// Where cargo puts the program `name`.
    pub(crate) fn program(&self, profile: Profile, name: &str) -> PathBuf {
        self.target.join(profile.folder()).join(name)
    }
}

#[cfg(test)]
impl Repository {
    /// A repository at a made-up place.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf(), target: root.join("target") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_workspace_manifest() {
        assert!(Repository::of_this_program().root().join("Cargo.lock").is_file());
    }
}
