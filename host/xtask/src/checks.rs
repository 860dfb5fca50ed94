//! `cargo xtask test`: everything that must hold before a change goes in.
//!
//! Knows nothing of single tests; a new one only has to be found by `cargo test`.

use std::process::Command;

use crate::repository::Repository;
use crate::steps::{Outcome, StartError, Step, Summary, run_all};

/// Runs the checks and returns the exit code of the first that failed, or 0.
pub(crate) fn run_checks(repository: &Repository, is_quick: bool) -> Result<u8, StartError> {
    let steps = steps(repository, is_quick);
    let names: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
    let outcomes = run_all(steps)?;
    eprintln!("\n{}", Summary { all: &names, outcomes: &outcomes });
    Ok(outcomes.last().map_or(0, |last: &Outcome| last.exit_code))
}

fn steps(repository: &Repository, is_quick: bool) -> Vec<Step> {
    let cargo = |name: &'static str, arguments: &[&str]| {
        let mut command = Command::new(cargo_program());
        command.args(arguments).current_dir(repository.root());
        Step { name: name.into(), command }
    };
    let mut steps = vec![cargo("fmt", &["fmt", "--all", "--check"])];
    if !is_quick {
        let deny = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        steps.push(cargo("clippy", &deny));
        let mut doc = cargo("doc", &["doc", "--workspace", "--no-deps"]);
        doc.command.env("RUSTDOCFLAGS", "-D warnings");
        steps.push(doc);
    }
    // With the tests, so that cargo chooses the same features as the next step and nothing is
    // compiled twice; programs and plugins must be there before the integration tests start.
    steps.push(cargo("build", &["build", "--workspace", "--lib", "--bins", "--tests"]));
    // All failures of a run are worth knowing, as are those on a machine that is rarely at hand.
    let mut test = cargo("test", &["test", "--workspace", "--no-fail-fast"]);
    for name in ["NO_PROXY", "no_proxy"] {
        test.command.env(name, without_proxy(std::env::var(name).ok()));
    }
    steps.push(test);
    steps
}

/// Servers of tests are on this machine, and no proxy leads to them.
fn without_proxy(others: Option<String>) -> String {
    let own = "127.0.0.1,localhost";
    others
        .filter(|others| !others.is_empty())
        .map_or(own.to_owned(), |others| format!("{others},{own}"))
}

/// The cargo that started this program, else the one on PATH.
pub(crate) fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::path::Path;

    fn names(is_quick: bool) -> Vec<Cow<'static, str>> {
        let steps = steps(&Repository::at(Path::new("/repo")), is_quick);
        steps.iter().map(|step| step.name.clone()).collect()
    }

    #[test]
    fn servers_of_tests_are_asked_without_a_proxy() {
        assert_eq!(without_proxy(None), "127.0.0.1,localhost");
        assert_eq!(without_proxy(Some("a.org".to_owned())), "a.org,127.0.0.1,localhost");
    }

    #[test]
    fn cheap_checks_come_first_and_tests_last() {
        assert_eq!(names(false), ["fmt", "clippy", "doc", "build", "test"]);
    }

    #[test]
    fn quick_leaves_out_clippy_and_doc() {
        assert_eq!(names(true), ["fmt", "build", "test"]);
    }

    #[test]
    fn warnings_are_errors_in_documentation_too() {
        let steps = steps(&Repository::at(Path::new("/repo")), false);
        let doc = steps.iter().find(|step| step.name == "doc").unwrap();
        let is_set = doc.command.get_envs().any(|(name, value)| {
            name == "RUSTDOCFLAGS" && value.is_some_and(|value| value == "-D warnings")
        });
        assert!(is_set);
    }
}
