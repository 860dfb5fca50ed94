//! The command line of `report` and `runs`. Knows nothing of what they do.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// `report RUN… [--out FILE]`
#[derive(Clone, Debug, Args)]
pub struct ReportArguments {
    /// A run's folder, or a work folder (its last run); several are compared on one page.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The file to write [default: report.html in the run's folder; comparison.html here for several runs].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `runs …`
#[derive(Clone, Debug, Subcommand)]
pub enum RunsCommand {
    /// Lists runs: how they stand, what they reached, how long they took.
    List(RunsListArguments),
    /// Compares two runs: metrics, time, and how their configs differ.
    Diff(RunsDiffArguments),
    /// Tells what every process of runs with several ones does at this moment: hook and point, or phase, with epoch and iteration.
    Where(RunsWhereArguments),
}

/// `runs where [DIR…]`
#[derive(Clone, Debug, Args)]
pub struct RunsWhereArguments {
    /// Folders with runs, or logs of `launch`, below them.
    #[arg(value_name = "DIR", default_value = "work_dirs")]
    pub folders: Vec<PathBuf>,
    /// Also what processes did last that have ended, or run on another machine or in another container.
    #[arg(long)]
    pub all: bool,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `runs list [DIR…]`
#[derive(Clone, Debug, Args)]
pub struct RunsListArguments {
    /// Folders with runs below them.
    #[arg(value_name = "DIR", default_value = "work_dirs")]
    pub folders: Vec<PathBuf>,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `runs diff A B`
#[derive(Clone, Debug, Args)]
pub struct RunsDiffArguments {
    /// A run's folder, or a work folder (its last run).
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The other one.
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
