//! What can go wrong in a command that does not train, and which exit code it means.

use std::io;
use std::path::PathBuf;

use snaphook_config::ConfigError;
use snaphook_launch::{ContractError, LaunchError};

use crate::Exit;
use crate::plan::PlanError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The config cannot be loaded.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The hooks that the config asks for cannot be had.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Components of the config are asked for wrongly.
    #[error("{}: {}\n\n{excerpts}", config.display(), count_in_words(*count))]
    Check {
        /// The config file.
        config: PathBuf,
        /// How many things are wrong.
        count: usize,
        /// Each with its excerpt.
        excerpts: String,
    },
    /// A checkpoint that was named is not there.
    #[error("checkpoint {}: expected a file or folder, found nothing{way_out}", path.display())]
    Checkpoint {
        /// The path as given.
        path: PathBuf,
        /// In brackets; may be empty.
        way_out: String,
    },
    /// A key path that nothing in the config ever wrote.
    #[error("{key}: nothing writes it{hint}")]
    Key {
        /// The key path as given.
        key: String,
        /// In brackets; may be empty.
        hint: String,
    },
    /// A file or checkpoint that cannot be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Expected, found, way out.
        message: String,
    },
    /// A `.pth` file that cannot be read or written.
    #[error(transparent)]
    Pth(#[from] snaphook_pth::PthError),
    /// The length of an epoch cannot be known.
    #[error("the length of an epoch is not known (say it: --iters-per-epoch N): {0}")]
    EpochLength(String),
    /// No plugin, file or type of this name.
    #[error("{0}")]
    Plugin(String),
    /// The program that trains is nowhere.
    #[error(
        "snaphook-trainer: expected in {} or on PATH, found nowhere (build it: {build})",
        folder.display()
    )]
    TrainerMissing {
        /// The folder of this program.
        folder: PathBuf,
        /// The command that makes it.
        build: &'static str,
    },
    /// The program that trains does not start.
    #[error("{}: expected a program that starts, found one that does not", path.display())]
    TrainerStart {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A run cannot be read, or a page not be written.
    #[error(transparent)]
    Report(#[from] snaphook_report::ReportError),
    /// The environment does not say which process of the run this is.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The ranks of a job cannot be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] snaphook_data::DataError),
    /// A transform that is to be left out and that no pipeline has.
    #[error("--skip {name}: expected a transform of the pipeline, found none (it has {known})")]
    Skip {
        /// What was to be left out.
        name: String,
        /// The transforms that there are.
        known: String,
    },
    /// A section that the config does not have.
    #[error("{key}: expected a section of the config, found none{way_out}")]
    Section {
        /// The key.
        key: &'static str,
        /// In brackets; may be empty.
        way_out: &'static str,
    },
    /// The output cannot be written.
    #[error("output: cannot be written")]
    Output(#[from] io::Error),
}

fn count_in_words(count: usize) -> String {
    match count {
        1 => "one thing is wrong with its components".to_owned(),
        many => format!("{many} things are wrong with its components"),
    }
}

impl CliError {
    /// The exit code that it means: everything that is found before training is wrong input, but for flags of a launch
    /// that do not fit together.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Launch(error) if error.is_usage() => Exit::Usage,
            _ => Exit::Input,
        }
    }
}
