//! The whole of set-up: afterwards a build finds libtorch, or an error has said why not.

use super::assemble::Assembly;
use super::cache::Cache;
use super::choice::{Choice, choose};
use super::error::LibtorchError;
use super::installed::{Installed, inspect, inspect_pytorch};
use super::link;
use super::recipe::Recipe;
use crate::environment::Environment;
use crate::interrupt::Interrupt;
use crate::repository::Repository;

/// Makes sure that builds of `repository` find a libtorch of our version.
///
/// Nothing is downloaded when the user points to their own, or when the repository's link already
/// leads to a good one; `force` assembles a new folder even then.
pub(crate) fn prepare(
    repository: &Repository,
    environment: &Environment,
    force: bool,
) -> Result<Installed, LibtorchError> {
    match choose(environment, repository) {
        Choice::PyTorch => inspect_pytorch(environment),
        Choice::Own(folder) => {
            inspect(&folder, &format!("LIBTORCH ({})", folder.display()), environment)
        }
        Choice::Linked => prepare_link(repository, environment, force),
    }
}

fn prepare_link(
    repository: &Repository,
    environment: &Environment,
    force: bool,
) -> Result<Installed, LibtorchError> {
    let path = repository.libtorch_link();
    if let Some(folder) = link::linked_folder(&path).filter(|_| !force)
        && let Ok(installed) = inspect(&folder, ".libtorch", environment)
    {
        return Ok(installed);
    }
    let assembly = Assembly {
        recipe: &Recipe::for_this_machine()?,
        cache: &Cache::locate(environment)?,
        environment,
        interrupt: &Interrupt::watch(),
    };
    let folder = assembly.run(force)?;
    link::point(&path, &folder)?;
    inspect(&folder, ".libtorch", environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_good_link_is_used_without_any_program_on_path() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join(".libtorch");
        fs::create_dir_all(link.join("lib")).unwrap();
        fs::create_dir_all(link.join("include/torch")).unwrap();
        fs::write(link.join("lib/libtorch_cpu.so"), "").unwrap();
        fs::write(link.join("build-version"), "2.11.0+cpu").unwrap();
        let found = prepare(&Repository::at(root.path()), &Environment::default(), false).unwrap();
        assert_eq!(found.version, "2.11.0+cpu");
    }

    #[test]
    fn a_wrong_libtorch_of_the_user_is_an_error_and_nothing_is_assembled() {
        let root = tempfile::tempdir().unwrap();
        let environment = Environment::of([("LIBTORCH", "/nowhere/libtorch")]);
        let error = prepare(&Repository::at(root.path()), &environment, false).unwrap_err();
        assert!(error.to_string().starts_with("LIBTORCH (/nowhere/libtorch)"), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
