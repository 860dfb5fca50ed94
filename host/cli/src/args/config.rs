//! `config …` on the command line. Knows nothing of what the commands do.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::schedule::{ConfigScheduleArguments, HELP as SCHEDULE_HELP};
use super::{Format, LoadArguments, PluginArguments};

/// `config …`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Prints the config with its bases and changes resolved.
    Print(ConfigPrintArguments),
    /// Shows every file, line and change that wrote a value, and what a changed variable does not reach.
    Explain(ConfigExplainArguments),
    /// Compares two configs with their bases resolved.
    Diff(ConfigDiffArguments),
    /// Checks a config without training: every type and argument, files, classes, schedules, hooks.
    #[command(after_long_help = CHECK_HELP)]
    Check(ConfigCheckArguments),
    /// Shows learning rates and momenta of every iteration: drawn, as a picture, as JSON or CSV.
    #[command(after_long_help = SCHEDULE_HELP)]
    Schedule(ConfigScheduleArguments),
    /// Prints a JSON Schema of configs for editors, built-in components and plugins included.
    Schema(ConfigSchemaArguments),
}

const CHECK_HELP: &str = "\
Exit codes:
  0  no errors; there may be warnings
  1  the config has errors, or cannot be loaded
  2  wrong command line";

/// `config check CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct ConfigCheckArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Does not open annotation files, which takes its time with large ones.
    #[arg(long)]
    pub no_data: bool,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

/// `config schema [CONFIG] …`
#[derive(Clone, Debug, Args)]
pub struct ConfigSchemaArguments {
    /// Config file whose plugin folders are searched, too.
    pub config: Option<PathBuf>,
    /// For resolved configs, as `config print` prints them: what is required must be there.
    #[arg(long)]
    pub resolved: bool,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

/// `config explain CONFIG KEY …`
#[derive(Clone, Debug, Args)]
pub struct ConfigExplainArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Dotted path of a value, such as `train_dataloader.dataset.pipeline.0`.
    pub key: String,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// `config diff A B …`
#[derive(Clone, Debug, Args)]
pub struct ConfigDiffArguments {
    /// The first config.
    pub before: PathBuf,
    /// The second config.
    pub after: PathBuf,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Folder that the configs and all their bases must be in, links followed; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_root: Vec<PathBuf>,
    /// Makes a changed variable reach what bases built from it.
    #[arg(long)]
    pub propagate: bool,
}

impl ConfigDiffArguments {
    /// How both configs are found.
    pub fn load_arguments(&self) -> LoadArguments {
        let (config_path, config_root) = (self.config_path.clone(), self.config_root.clone());
        LoadArguments {
            config_path,
            config_root,
            propagate: self.propagate,
            ..LoadArguments::default()
        }
    }
}

/// `config print CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct ConfigPrintArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Language of the output.
    #[arg(long, value_enum, default_value_t = ConfigFormat::Json)]
    pub format: ConfigFormat,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// A language that configs are printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// JSON.
    Json,
    /// MMEngine's Python syntax.
    Py,
    /// YAML.
    Yaml,
    /// TOML; None is the string `{{None}}`.
    Toml,
}
