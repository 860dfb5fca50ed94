//! A folder of small configs for tests.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Config, ConfigError, LoadOptions, Resolver};

pub(crate) struct Folder(TempDir);

impl Folder {
    /// Files by name and text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn load(&self, name: &str) -> Result<Config, ConfigError> {
        self.load_with(name, &[])
    }

    /// Loads with overrides; the folder itself is searched for packages.
    pub(crate) fn load_with(&self, name: &str, overrides: &[&str]) -> Result<Config, ConfigError> {
        let search_paths: Vec<PathBuf> = vec![self.path().to_path_buf()];
        let overrides = overrides.iter().map(|option| (*option).to_owned()).collect();
        self.resolver(LoadOptions { overrides, search_paths }).load(&self.path().join(name))
    }

    /// A resolver that searches the folder itself for packages unless told otherwise.
    pub(crate) fn resolver(&self, options: LoadOptions) -> Resolver {
        Resolver::new(options)
    }

    /// The message of the error that loading gives, without the folder's name.
    pub(crate) fn error(&self, name: &str) -> String {
        let message = self.load(name).unwrap_err().to_string();
        message.replace(&format!("{}/", self.path().display()), "")
    }
}

/// The values of a single Python-syntax file.
pub(crate) fn values(text: &str) -> Value {
    Folder::new(&[("a.py", text)]).load("a.py").unwrap().value().clone()
}

/// The values of a Python-syntax file over a base.
pub(crate) fn over(base: &str, child: &str) -> Value {
    let child = format!("_base_ = './base.py'\n{child}");
    let folder = Folder::new(&[("base.py", base), ("a.py", &child)]);
    folder.load("a.py").unwrap().value().clone()
}

/// The message for a single Python-syntax file that is wrong.
pub(crate) fn error(text: &str) -> String {
    Folder::new(&[("a.py", text)]).error("a.py")
}

/// The message for a Python-syntax file that is wrong, over a base.
pub(crate) fn error_over(base: &str, child: &str) -> String {
    let child = format!("_base_ = './base.py'\n{child}");
    Folder::new(&[("base.py", base), ("a.py", &child)]).error("a.py")
}
