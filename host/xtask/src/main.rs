//! Set-up and checks of this repository: `cargo xtask libtorch|doctor|test|leaks|demo`.
//!
//! Builds in seconds on a machine that has nothing but Rust: no libtorch, no crate of Snaphook.

mod checks;
mod demo;
mod doctor;
mod environment;
#[cfg(test)]
mod fake_program;
mod interrupt;
mod leaks;
mod libtorch;
mod progress;
mod repository;
mod steps;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use environment::Environment;
use repository::Repository;

/// Sets this repository up, checks it and shows it.
#[derive(Parser)]
#[command(name = "cargo xtask", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Gets libtorch for the CPU from PyPI's wheels with pip, once for all checkouts and builds.
    Libtorch {
        /// Assemble it anew even if a good one is there.
        #[arg(long)]
        force: bool,
    },
    /// Prints what this machine has of what a build needs; exit code 1 if something is missing.
    Doctor,
    /// Runs all checks: format, clippy, documentation, build, tests.
    Test {
        /// Leave out clippy and the documentation.
        #[arg(long)]
        quick: bool,
    },
    /// Lives a hundred times with each hook of the plugins under valgrind, which must be installed;
    /// exit code 1 if anything is lost.
    Leaks,
    /// Builds all, trains a small detector on drawn pictures with hooks from `.so` files, and
    /// shows where the results are.
    Demo {
        /// Seed of the pictures and of the training.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// How many epochs to train, at least 1; the recipe's own number without it.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        epochs: Option<u32>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::from(1)
        }
    }
}

fn run(task: Task) -> Result<u8, Box<dyn Error>> {
    let (repository, environment) = (Repository::of_this_program(), Environment::of_this_process());
    let prepare = |force| -> Result<(), libtorch::LibtorchError> {
        let libtorch::Installed { folder, version } =
            libtorch::prepare(&repository, &environment, force)?;
        eprintln!("libtorch: {version} in {}", folder.display());
        Ok(())
    };
    match task {
        Task::Libtorch { force } => prepare(force).map(|()| 0).map_err(Into::into),
        Task::Doctor => Ok(u8::from(!doctor::report(&repository, &environment))),
        Task::Test { quick } => {
            prepare(false)?;
            Ok(checks::run_checks(&repository, quick)?)
        }
        Task::Leaks => {
            prepare(false)?;
            Ok(leaks::find_leaks(&repository)?)
        }
        Task::Demo { seed, epochs } => {
            prepare(false)?;
            Ok(demo::run_demo(&repository, &demo::Numbers { seed, epochs })?)
        }
    }
}

/// The error and its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
