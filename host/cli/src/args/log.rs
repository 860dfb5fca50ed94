//! How a run tells what it does. Knows nothing of what it tells.

use clap::{Args, ValueEnum};

use super::{Cli, Command};

/// How a run tells what it does.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LogArguments {
    /// `text`: lines of MMEngine on stdout, with a progress bar on a terminal; `json`: one object a line on stderr.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Who reads the log of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// People, and parsers of MMEngine's logs.
    #[default]
    Text,
    /// Programs.
    Json,
}

impl Cli {
    /// Who reads what the command tells.
    pub fn log_format(&self) -> LogFormat {
        match &self.command {
            Command::Train(train) => train.log.log_format,
            Command::Test(test) => test.log.log_format,
            _ => LogFormat::Text,
        }
    }
}
