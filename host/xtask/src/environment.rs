//! The environment variables and programs that set-up looks at, as a value that tests can make up.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Environment variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: HashMap<OsString, OsString>,
}

impl Environment {
    /// The variables that this process was started with.
    pub(crate) fn of_this_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// The value of a variable, empty values included.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A folder named by a variable; an empty value counts as unset.
    pub(crate) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Finds a program as a shell would: a path as it is, a name on PATH.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| is_executable(path));
        }
        let path = self.get("PATH")?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| is_executable(file))
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
impl Environment {
    /// An environment that holds these variables and nothing else.
    pub(crate) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_given_path_only() {
        assert!(Environment::of([("PATH", "/usr/bin:/bin")]).find_program("sh").is_some());
        assert!(Environment::of([("PATH", "/nowhere")]).find_program("sh").is_none());
        assert!(Environment::default().find_program("sh").is_none());
    }

    #[test]
    fn an_empty_variable_names_no_folder() {
        let environment = Environment::of([("EMPTY", ""), ("SET", "/x")]);
        assert_eq!(environment.folder("EMPTY"), None);
        assert_eq!(environment.folder("SET"), Some(PathBuf::from("/x")));
    }
}
