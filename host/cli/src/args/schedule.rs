//! `config schedule CONFIG …`. Knows nothing of schedules.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LoadArguments;

pub(super) const HELP: &str = "\
Iterations and epochs are counted from 0, as hooks see them. `lr` and `momentum` are lists: the optimizer's own values
come first, then one for each other pair of learning rate and momentum that paramwise_cfg can give; which of them a
model uses, only the model can tell. momentum is the first beta of Adam and its kin.

Examples:
  snaphook config schedule configs/yolox_s.py
  snaphook config schedule configs/yolox_s.py --plot schedule.svg
  snaphook config schedule configs/yolox_s.py --iters-per-epoch 1849 --format csv > schedule.csv";

/// `config schedule CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct ConfigScheduleArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Iterations in an epoch [default: counted in the training data's annotation file].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub iters_per_epoch: Option<u64>,
    /// Prints every iteration instead of a drawing.
    #[arg(long, value_enum)]
    pub format: Option<ScheduleFormat>,
    /// Draws into this SVG file.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// A form of all iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScheduleFormat {
    /// A list of `{"iter", "epoch", "lr", "momentum"}`.
    Json,
    /// A line for each iteration.
    Csv,
}
