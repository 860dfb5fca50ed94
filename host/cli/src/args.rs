//! The command line, shared by `snaphook` and `snaphook-trainer`. Knows nothing of what commands do.

mod checkpoint;
mod config;
mod log;
mod looking;
mod plugins;
mod ranks;
mod refused;
mod runs;
mod schedule;
mod trial;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use snaphook_launch::LaunchArguments;

pub use checkpoint::{
    CheckpointCommand, CheckpointExportArguments, CheckpointImportArguments,
    CheckpointShowArguments,
};
pub use log::{LogArguments, LogFormat};
pub use looking::{BrowseArguments, DataSection, PredictArguments};
pub use runs::{
    ReportArguments, RunsCommand, RunsDiffArguments, RunsListArguments, RunsWhereArguments,
};
pub use schedule::{ConfigScheduleArguments, ScheduleFormat};
pub use trial::{Amount, TrialArguments};

pub use config::{
    ConfigCheckArguments, ConfigCommand, ConfigDiffArguments, ConfigExplainArguments, ConfigFormat,
    ConfigPrintArguments, ConfigSchemaArguments,
};
pub use plugins::{
    ExerciseArguments, PluginArguments, PluginsCheckArguments, PluginsCommand,
    PluginsExerciseArguments, PluginsInspectArguments, PluginsListArguments, PluginsLockArguments,
    PluginsNewArguments,
};
pub use ranks::RankArguments;
use refused::RefusedInTest;

const EXAMPLES: &str = "\
Examples:
  snaphook train configs/yolox_nano.py
  snaphook train configs/yolox_nano.py --work-dir runs/a --resume
  snaphook train configs/yolox_nano.py train_cfg.max_epochs=5 --plugins my-hooks/target/release
  snaphook test configs/yolox_nano.py runs/a/epoch_30
  snaphook predict configs/yolox_nano.py runs/a/epoch_30 photos/
  snaphook browse configs/yolox_nano.py
  snaphook config check configs/yolox_nano.py
  snaphook config print configs/yolox_nano.py
  snaphook hooks list configs/yolox_nano.py
  snaphook runs list
  snaphook report work_dirs/yolox_nano

Exit codes:
  0      done
  1      wrong config, plugin, checkpoint or data
  2      wrong command line
  3      failed while training or testing
  75     asked to end (SIGTERM, SIGUSR1): the state is saved, start it again with --resume
  130    asked to end by Ctrl-C: the same
  128+n  ended by signal n";

const LAUNCH_EXAMPLES: &str = "\
Examples:
  snaphook launch --nproc-per-node 4 -- train configs/yolox_nano.py
  snaphook launch --nproc-per-node auto --max-restarts 3 -- train configs/yolox_nano.py --work-dir runs/a
  snaphook launch --nnodes 2 --node-rank 1 --master-addr node0 --nproc-per-node 8 -- train configs/yolox_nano.py
  snaphook launch --nproc-per-node 2 --tee 3 -- python other.py

Exit codes:
  0      all ranks are done
  1      wrong config, or the job could not be started (port, machines, log folder)
  2      wrong command line
  75     the ranks saved after SIGTERM or SIGUSR1; the same command with --resume goes on
  128+n  ended by signal n
  else   that of the rank that failed first; 3 when ranks hung";

/// Trains models from a configuration file, with hooks loaded from .so files at run time.
#[derive(Clone, Debug, Parser)]
#[command(name = "snaphook", version, after_long_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Trains the model that a config describes.
    #[command(after_long_help = EXAMPLES)]
    Train(TrainArguments),
    /// Measures a checkpoint on the test data of a config.
    #[command(after_long_help = EXAMPLES)]
    Test(TestArguments),
    /// Runs train, test or any program as the ranks of a job, on one machine or several, and ends them together.
    #[command(after_long_help = LAUNCH_EXAMPLES)]
    Launch(Box<LaunchArguments>),
    /// Draws what the pipeline of a config feeds the model, as a page of pictures.
    #[command(after_long_help = looking::BROWSE_HELP)]
    Browse(BrowseArguments),
    /// Finds objects in pictures with a trained model.
    #[command(after_long_help = looking::PREDICT_HELP)]
    Predict(PredictArguments),
    /// Shows configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Shows, checks, locks and begins plugins.
    #[command(subcommand)]
    Plugins(PluginsCommand),
    /// Shows checkpoints, and exchanges them with PyTorch.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Shows the hooks of a run.
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Writes a page about a run, or about several beside each other.
    Report(ReportArguments),
    /// Shows what runs reached.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Shows what was found on this machine, and the way out for what is missing.
    Doctor(DoctorArguments),
}

/// `train CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct TrainArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Folder for logs and checkpoints [default: work_dir of the config, else work_dirs/ and the config's name].
    #[arg(long, value_name = "DIR", alias = "work_dir")]
    pub work_dir: Option<PathBuf>,
    /// Goes on from the last checkpoint of the work folder, from PATH, or from a URL that a hook fetches (s3://bucket/prefix).
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Seed of all random numbers [default: randomness.seed of the config, else drawn anew].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What makes the run a quick trial.
    #[command(flatten)]
    pub trial: TrialArguments,
    /// Computes in half precision where it does no harm: float16 on GPUs, bfloat16 on the CPU.
    #[arg(long)]
    pub amp: bool,
    /// Scales the learning rate by the batch size, as auto_scale_lr of the config says.
    #[arg(long, alias = "auto_scale_lr")]
    pub auto_scale_lr: bool,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
    /// How the run tells what it does.
    #[command(flatten)]
    pub log: LogArguments,
    /// Which process of a run this is.
    #[command(flatten)]
    pub ranks: RankArguments,
}

/// Where a run goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The newest whole checkpoint of the work folder, if there is one.
    Last,
    /// This checkpoint.
    From(PathBuf),
}

impl TrainArguments {
    /// What `--resume` asks for; `None` without it.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.as_ref().map(|path| path.clone().map_or(Resume::Last, Resume::From))
    }
}

/// `test CONFIG CHECKPOINT …`
#[derive(Clone, Debug, Args)]
pub struct TestArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Checkpoint whose weights are measured.
    pub checkpoint: PathBuf,
    /// Folder for logs [default: work_dir of the config, else work_dirs/ and the config's name].
    #[arg(long, value_name = "DIR", alias = "work_dir")]
    pub work_dir: Option<PathBuf>,
    /// Writes all predictions to this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draws predictions into this folder, under the run's folder.
    #[arg(long, value_name = "DIR", alias = "show_dir")]
    pub show_dir: Option<PathBuf>,
    /// Looks at several views of each picture: tta_model and tta_pipeline of the config, else mirrored and not.
    #[arg(long)]
    pub tta: bool,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
    /// How the run tells what it does.
    #[command(flatten)]
    pub log: LogArguments,
    /// Which process of a run this is.
    #[command(flatten)]
    pub ranks: RankArguments,
    #[command(flatten)]
    refused: RefusedInTest,
}

/// How a config is changed and found.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadArguments {
    /// Changes of the config: optim_wrapper.optimizer.lr=0.01, train_pipeline.0.type=X, key=[1,2].
    #[arg(value_name = "KEY=VALUE", value_parser = override_text)]
    changes: Vec<String>,
    /// The same changes in the spelling of MMEngine; applied first.
    #[arg(long, alias = "cfg_options", value_name = "KEY=VALUE", num_args = 1.., value_parser = override_text)]
    cfg_options: Vec<String>,
    /// Folder that holds a package whose configs are inherited (`_base_ = 'mmdet::…'`); repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_path: Vec<PathBuf>,
    /// Folder that the config and all its bases must be in, links followed; repeatable.
    #[arg(long, value_name = "DIR")]
    pub config_root: Vec<PathBuf>,
    /// Makes a changed variable reach what bases built from it, as `_propagate_ = True` in the config.
    #[arg(long)]
    pub propagate: bool,
}

impl LoadArguments {
    /// No changes; packages are looked for in these folders first.
    pub fn with_config_path(config_path: Vec<PathBuf>) -> LoadArguments {
        LoadArguments { config_path, ..LoadArguments::default() }
    }

    /// The same with one more change, the last one.
    pub(crate) fn with_change(&self, change: &str) -> LoadArguments {
        let mut more = self.clone();
        more.changes.push(change.to_owned());
        more
    }

    /// All changes as `key=value`, in the order in which they are applied.
    pub fn overrides(&self) -> Vec<String> {
        self.cfg_options.iter().chain(&self.changes).cloned().collect()
    }
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// People.
    #[default]
    Text,
    /// Programs.
    Json,
}

/// `hooks …`
#[derive(Clone, Debug, Subcommand)]
pub enum HooksCommand {
    /// Lists the hooks of a config in their real order at every point; runs no code of plugins.
    List(HooksListArguments),
}

/// `hooks list CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct HooksListArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

/// `doctor …`
#[derive(Clone, Debug, Args)]
pub struct DoctorArguments {
    /// Who reads the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where plugins are looked for.
    #[command(flatten)]
    pub plugins: PluginArguments,
}

impl Cli {
    /// Reads this process's command line; prints help or what is wrong with it, and exits.
    pub fn parse_arguments() -> Cli {
        Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads a command line, the program's name first.
    ///
    /// Errors: help that was asked for, what is wrong, or what this version does not do.
    pub fn read<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse_from(arguments)?;
        let problem = match &cli.command {
            Command::Train(train) => {
                train.resume.as_ref().and_then(|path| resume_problem(path.as_ref()?))
            }
            Command::Test(test) => test.refused.problem(),
            _ => None,
        };
        match problem {
            None => Ok(cli),
            Some(text) => Err(Cli::command().error(clap::error::ErrorKind::InvalidValue, text)),
        }
    }
}

/// `--resume lr=0.1` means a change of the config that came right after a bare `--resume`.
fn resume_problem(path: &std::path::Path) -> Option<String> {
    let text = path.to_str()?;
    let is_change = text.contains('=') && !path.exists();
    is_change.then(|| {
        format!(
            "--resume: expected a checkpoint, found the change {text} \
             (put it before --resume, or behind --cfg-options)"
        )
    })
}

fn override_text(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected key=value (other arguments go before --cfg-options)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_launch::Launcher;

    fn train(line: &str) -> TrainArguments {
        let arguments = format!("snaphook train {line}");
        match Cli::read(arguments.split_whitespace()).unwrap().command {
            Command::Train(train) => train,
            other => panic!("not train: {other:?}"),
        }
    }

    fn refusal(line: &str) -> (i32, String) {
        let error = Cli::read(format!("snaphook {line}").split_whitespace()).unwrap_err();
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_line_of_mmengine_is_read_whole() {
        let line =
            "a.py --work-dir w --resume --cfg-options x.y=1 z=[1,2] --launcher none --local_rank 0";
        let arguments = train(line);
        assert_eq!(arguments.config, PathBuf::from("a.py"));
        assert_eq!(arguments.work_dir, Some("w".into()));
        assert_eq!(arguments.resume(), Some(Resume::Last));
        assert_eq!(arguments.load.overrides(), ["x.y=1", "z=[1,2]"]);
    }

    #[test]
    fn bare_changes_come_after_cfg_options() {
        let arguments = train("a.py b=2 --seed 7 c=3 --plugins p --plugins q --cfg-options a=1");
        assert_eq!(arguments.load.overrides(), ["a=1", "b=2", "c=3"]);
        assert_eq!(arguments.seed, Some(7));
        assert_eq!(arguments.plugins.folders, [PathBuf::from("p"), "q".into()]);
    }

    #[test]
    fn a_launch_keeps_the_line_of_its_ranks_as_it_is() {
        for line in ["--nproc-per-node 2 --", "--nproc_per_node=2"] {
            let line = format!("snaphook launch {line} train a.py --work-dir w --resume --seed=1");
            let Command::Launch(launch) = Cli::read(line.split_whitespace()).unwrap().command
            else {
                panic!("{line}");
            };
            assert_eq!(
                launch.program,
                ["train", "a.py", "--work-dir", "w", "--resume", "--seed=1"]
            );
        }
        let (code, text) = refusal("launch --nproc 2 train a.py");
        assert!(code == 2 && text.contains("--nproc-per-node"), "{text}");
    }

    #[test]
    fn launchers_of_mmengine_are_taken() {
        let ranks = train("a.py --launcher slurm --local_rank 3").ranks;
        assert_eq!((ranks.launcher, ranks.local_rank), (Some(Launcher::Slurm), Some(3)));
        assert_eq!(train("a.py").ranks.launcher, None);
    }

    #[test]
    fn resume_takes_a_path_or_none() {
        assert_eq!(train("a.py").resume(), None);
        let path = train("a.py --resume w/epoch_1").resume();
        assert_eq!(path, Some(Resume::From("w/epoch_1".into())));
        let (code, text) = refusal("train a.py --resume lr=0.1");
        assert!(code == 2 && text.contains("put it before --resume"), "{text}");
    }

    #[test]
    fn what_is_not_in_this_version_is_refused_by_name() {
        let lines = ["test a.py b --show", "test a.py b --wait-time 2"];
        for line in lines {
            let (code, text) = refusal(line);
            let flag = line.split(' ').find(|word| word.starts_with("--")).unwrap();
            assert_eq!(code, 2, "{line}");
            assert!(text.contains(flag) && text.contains("not in this version"), "{text}");
        }
    }

    #[test]
    fn a_change_without_a_value_is_a_wrong_command_line() {
        let (code, text) = refusal("train a.py lr");
        assert!(code == 2 && text.contains("expected key=value"), "{text}");
    }
}
