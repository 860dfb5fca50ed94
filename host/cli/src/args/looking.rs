//! `browse CONFIG …` and `predict CONFIG CHECKPOINT IMAGE…`. Knows nothing of pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LoadArguments;

pub(super) const BROWSE_HELP: &str = "\
Examples:
  snaphook browse configs/yolox_s.py
  snaphook browse configs/yolox_s.py --pictures 48 --seed 7 --out mosaic.html
  snaphook browse configs/yolox_s.py --set val";

pub(super) const PREDICT_HELP: &str = "\
Examples:
  snaphook predict configs/yolox_s.py work_dirs/yolox_s/epoch_30 photo.jpg
  snaphook predict configs/yolox_s.py best.pth photos/ 'more/*.png' --out found --score-thr 0.5";

/// `browse CONFIG …`
#[derive(Clone, Debug, Args)]
pub struct BrowseArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Which data.
    #[arg(long, value_enum, default_value_t)]
    pub set: DataSection,
    /// How many pictures.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pictures: u32,
    /// Which epoch, from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub epoch: u64,
    /// Seed of all random numbers [default: randomness.seed of the config, else 0].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Leaves out transforms of this type, as YOLOXModeSwitchHook does; repeatable.
    #[arg(long, value_name = "TYPE")]
    pub skip: Vec<String>,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "browse.html")]
    pub out: PathBuf,
    /// How the config is changed and found.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// Data of a config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DataSection {
    /// `train_dataloader`.
    #[default]
    Train,
    /// `val_dataloader`.
    Val,
    /// `test_dataloader`.
    Test,
}

impl DataSection {
    /// The key in a config.
    pub fn key(self) -> &'static str {
        match self {
            DataSection::Train => "train_dataloader",
            DataSection::Val => "val_dataloader",
            DataSection::Test => "test_dataloader",
        }
    }
}

fn score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score| (0.0..=1.0).contains(score));
    score.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// `predict CONFIG CHECKPOINT IMAGE…`
#[derive(Clone, Debug, Args)]
pub struct PredictArguments {
    /// Config file: .py, .json, .yaml or .toml.
    pub config: PathBuf,
    /// Checkpoint, or weights as .pth.
    pub checkpoint: PathBuf,
    /// Pictures, folders of pictures, or patterns such as 'a/*.jpg'.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Folder for predictions.json and the pictures with boxes.
    #[arg(long, value_name = "DIR", default_value = "predictions")]
    pub out: PathBuf,
    /// Least score of what is drawn; the file holds everything that the model gives.
    #[arg(long, value_name = "SCORE", default_value_t = 0.3, alias = "score_thr", value_parser = score)]
    pub score_thr: f32,
    /// Writes predictions.json alone.
    #[arg(long)]
    pub no_pictures: bool,
    /// Changes of the config: key=value.
    #[arg(long, alias = "cfg_options", value_name = "KEY=VALUE", num_args = 1.., value_parser = super::override_text)]
    cfg_options: Vec<String>,
    /// Folder that holds a package whose configs are inherited; repeatable.
    #[arg(long, value_name = "DIR")]
    config_path: Vec<PathBuf>,
}

impl PredictArguments {
    /// How the config is changed and found.
    pub fn load(&self) -> LoadArguments {
        LoadArguments {
            cfg_options: self.cfg_options.clone(),
            ..LoadArguments::with_config_path(self.config_path.clone())
        }
    }
}
