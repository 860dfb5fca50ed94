//! The arguments of `snaphook plugins …`, and those by which every command finds plugins. Knows nothing of what commands
//! do.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// Where plugins are looked for.
#[derive(Clone, Debug, Default, Args)]
pub struct PluginArguments {
    /// Folder with plugins (.so files), looked into before all others; repeatable.
    #[arg(long = "plugins", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Refuses plugins that are not in the plugins.lock beside the config, byte for byte.
    #[arg(long)]
    pub locked: bool,
}

/// `plugins …`
#[derive(Clone, Debug, Subcommand)]
pub enum PluginsCommand {
    /// Lists the folders searched, the plugins found and the files refused.
    List(PluginsListArguments),
    /// Shows what a plugin says about itself; runs none of its code.
    Inspect(PluginsInspectArguments),
    /// Loads and exercises plugins in a child process, so that a crash or a hang is a report.
    #[command(after_long_help = CHECK)]
    Check(PluginsCheckArguments),
    /// Writes plugins.lock: the plugins that `--locked` lets pass, byte for byte.
    Lock(PluginsLockArguments),
    /// Writes a crate with a hook that builds, passes its test and runs at once.
    New(PluginsNewArguments),
    /// The child of `check`: runs code of the plugin in this process.
    #[command(hide = true)]
    Exercise(PluginsExerciseArguments),
}

const CHECK: &str = "\
Without a FILE it tries every plugin that `snaphook plugins list` finds, and the files that it refuses: a line
for each, details of those that are not sound, and a sum.

A plugin that crashed or hung is remembered by its content, in the user's cache, and is refused by every
command until the file changes or a check with --retry finds it sound.

Exit codes:
  0  every plugin is sound
  1  one has a defect, crashed, hung, or is no plugin";

/// `plugins list [CONFIG] …`
#[derive(Clone, Debug, Args)]
pub struct PluginsListArguments {
    /// Config file whose plugin folders are searched, too.
    pub config: Option<PathBuf>,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

/// `plugins inspect TARGET …`
#[derive(Clone, Debug, Args)]
pub struct PluginsInspectArguments {
    /// A .so file, the name of a plugin or a type that one offers.
    #[arg(value_name = "FILE|NAME|TYPE")]
    pub target: String,
    /// Config file whose plugin folders are searched, too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

/// What a check does with a plugin.
#[derive(Clone, Debug, Args)]
pub struct ExerciseArguments {
    /// Keyword arguments for the hooks as a JSON object, instead of their defaults.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub kwargs: Option<serde_json::Value>,
    /// Also checks what a good plugin does: refuses unknown arguments, takes every point, gives back
    /// the state it was given, closes twice, lives twice, leaks nothing, costs what it says.
    #[arg(long)]
    pub conformance: bool,
    /// The most memory that the plugin may map.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub memory_mib: u64,
}

/// `plugins check [FILE…] …`
#[derive(Clone, Debug, Args)]
pub struct PluginsCheckArguments {
    /// The .so files [default: every plugin of the folders that are searched, in a line each].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Config file whose plugin folders are searched, too.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    pub config: Option<PathBuf>,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub config_path: Vec<PathBuf>,
    /// Folder with plugins (.so files), looked into before all others; repeatable.
    #[arg(long = "plugins", value_name = "DIR", conflicts_with = "files")]
    pub folders: Vec<PathBuf>,
    /// Also lives a hundred times under valgrind, which must be installed, and names what is lost.
    #[arg(long)]
    pub valgrind: bool,
    /// Runs also those that are remembered to crash or hang; a sound one is then forgotten.
    #[arg(long)]
    pub retry: bool,
    /// The longest that one step may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub deadline_s: f64,
    /// What is done with each.
    #[command(flatten)]
    pub exercise: ExerciseArguments,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `plugins exercise FILE …`
#[derive(Clone, Debug, Args)]
pub struct PluginsExerciseArguments {
    /// The .so file.
    pub file: PathBuf,
    /// Runs without limits of memory, as valgrind needs it.
    #[arg(long)]
    pub unlimited: bool,
    /// Only builds, calls, saves, loads and drops each hook so often, for a tool that watches.
    #[arg(long, value_name = "N")]
    pub lives: Option<usize>,
    /// What is done with it.
    #[command(flatten)]
    pub exercise: ExerciseArguments,
}

/// `plugins lock [CONFIG] …`
#[derive(Clone, Debug, Args)]
pub struct PluginsLockArguments {
    /// Config file beside which plugins.lock is written [default: the current folder].
    pub config: Option<PathBuf>,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Folder with plugins (.so files), looked into before all others; repeatable.
    #[arg(long = "plugins", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
}

/// `plugins new NAME …`
#[derive(Clone, Debug, Args)]
pub struct PluginsNewArguments {
    /// Name of the crate and of its folder, as `loss-guard`; the hook is then `LossGuardHook`.
    pub name: String,
    /// Folder in which the crate's folder is made [default: the current one].
    #[arg(long, value_name = "DIR")]
    pub parent: Option<PathBuf>,
    /// Folder of the crate snaphook-plugin-api [default: that of a development build, else the released one].
    #[arg(long, value_name = "DIR")]
    pub plugin_api: Option<PathBuf>,
}

fn json_object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(other) => Err(format!("expected a JSON object, found {other}")),
        Err(error) => Err(format!("expected a JSON object, found otherwise ({error})")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e6 => Ok(seconds),
        _ => Err("expected a number of seconds above 0 and of at most 1000000".to_owned()),
    }
}
