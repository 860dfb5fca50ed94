//! Which libtorch a build will use, decided from the environment alone.
//!
//! Follows the order of `torch-sys`: `LIBTORCH_USE_PYTORCH` before `LIBTORCH` before the link that
//! `.cargo/config.toml` names.

use std::path::PathBuf;

use crate::environment::Environment;
use crate::repository::Repository;

/// Where libtorch comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// `LIBTORCH_USE_PYTORCH` is set: the PyTorch of the Python on PATH.
    PyTorch,
    /// `LIBTORCH` is set by the user: that folder.
    Own(PathBuf),
    /// Neither: the folder behind the repository's `.libtorch`, assembled if it is absent.
    Linked,
}

/// Reads the environment as `torch-sys` will.
pub(crate) fn choose(environment: &Environment, repository: &Repository) -> Choice {
    // torch-sys asks whether it is set, not to what.
    if environment.get("LIBTORCH_USE_PYTORCH").is_some() {
        return Choice::PyTorch;
    }
    // Cargo passes the LIBTORCH of `.cargo/config.toml` to this program too: that is not the user.
    match environment.get("LIBTORCH").map(PathBuf::from) {
        Some(folder) if folder != repository.libtorch_link() => Choice::Own(folder),
        _ => Choice::Linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn choice<const N: usize>(variables: [(&str, &str); N]) -> Choice {
        choose(&Environment::of(variables), &Repository::at(Path::new("/repo")))
    }

    #[test]
    fn without_variables_the_link_is_used() {
        assert_eq!(choice([]), Choice::Linked);
    }

    #[test]
    fn the_value_from_cargos_own_configuration_is_not_the_users() {
        assert_eq!(choice([("LIBTORCH", "/repo/.libtorch")]), Choice::Linked);
    }

    #[test]
    fn a_libtorch_of_the_user_wins_over_the_link() {
        assert_eq!(choice([("LIBTORCH", "/opt/lt")]), Choice::Own(PathBuf::from("/opt/lt")));
    }

    #[test]
    fn pytorch_wins_over_libtorch() {
        let both = [("LIBTORCH", "/opt/lt"), ("LIBTORCH_USE_PYTORCH", "1")];
        assert_eq!(choice(both), Choice::PyTorch);
    }
}
