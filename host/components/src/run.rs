//! What the run itself reads: the sections of a config and its loops.
//!
//! Source: MMEngine 0.10.7 `runner/runner.py`, `runner/loops.py` (names and defaults).

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, OneOrMany, Role};

/// The keys of a config that mean something; all others are variables.
#[derive(Kwargs)]
pub struct Config {
    /// The model.
    #[kwarg(component = "model")]
    pub model: Option<Json>,
    /// `data_preprocessor` of a model that names none.
    #[kwarg(component = "data_preprocessor")]
    pub data_preprocessor: Option<Json>,
    /// Data to train with.
    #[kwarg(settings = "Dataloader")]
    pub train_dataloader: Option<Json>,
    /// Data to validate with; a list for several sets, with a list of as many evaluators.
    #[kwarg(default = None, any_of(Json, Vec<Json>), settings = "Dataloader")]
    pub val_dataloader: Option<OneOrMany<Json>>,
    /// Data to test with, as `val_dataloader`.
    #[kwarg(default = None, any_of(Json, Vec<Json>), settings = "Dataloader")]
    pub test_dataloader: Option<OneOrMany<Json>>,
    /// How long to train, and when to validate.
    #[kwarg(component = "train_loop")]
    pub train_cfg: Option<Json>,
    /// How to validate.
    #[kwarg(component = "val_loop")]
    pub val_cfg: Option<Json>,
    /// How to test.
    #[kwarg(component = "test_loop")]
    pub test_cfg: Option<Json>,
    /// What a validation is scored with: metrics, or for several sets a metric or a list of them for each.
    #[kwarg(default = None, any_of(Json, Vec<Json>, Vec<Vec<Json>>), component = "metric")]
    pub val_evaluator: Option<Json>,
    /// What a test is scored with, as `val_evaluator`.
    #[kwarg(default = None, any_of(Json, Vec<Json>, Vec<Vec<Json>>), component = "metric")]
    pub test_evaluator: Option<Json>,
    /// The optimizer, and what is around its step.
    #[kwarg(component = "optim_wrapper")]
    pub optim_wrapper: Option<Json>,
    /// How learning rate and momentum change.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "param_scheduler")]
    pub param_scheduler: Option<OneOrMany<Json>>,
    /// The hooks that every run has, by name; `None` removes one.
    #[kwarg(default = None)]
    pub default_hooks: Option<Json>,
    /// Further hooks, built in or of plugins.
    #[kwarg(component = "hook")]
    pub custom_hooks: Option<Vec<Json>>,
    /// Folders with plugins, relative to the file that says so.
    #[kwarg(default = None, any_of(String, Vec<String>))]
    pub plugin_dirs: Option<OneOrMany<String>>,
    /// Draws pictures and writes scalars.
    #[kwarg(settings = "Visualizer")]
    pub visualizer: Option<Json>,
    /// Where the visualizer writes.
    #[kwarg(component = "visualizer_backend")]
    pub vis_backends: Option<Vec<Json>>,
    /// How logged numbers are smoothed.
    #[kwarg(component = "log_processor")]
    pub log_processor: Option<Json>,
    /// Least important messages that are logged.
    #[kwarg(default = "INFO")]
    pub log_level: Option<String>,
    /// Folder for logs and checkpoints; work_dirs/ and the config's name without it.
    #[kwarg(default = None)]
    pub work_dir: Option<String>,
    /// A checkpoint whose weights the run starts with.
    #[kwarg(default = None)]
    pub load_from: Option<String>,
    /// Whether the run goes on from its last checkpoint, or the checkpoint.
    #[kwarg(default = false, any_of(bool, String))]
    pub resume: Option<Json>,
    /// The seed of the run.
    #[kwarg(settings = "Randomness")]
    pub randomness: Option<Json>,
    /// The name of the run.
    #[kwarg(default = None)]
    pub experiment_name: Option<String>,
    /// Where MMEngine looks for a `type` first.
    #[kwarg(default = None)]
    pub default_scope: Option<String>,
    /// Learning rate by batch size.
    #[kwarg(settings = "AutoScaleLr")]
    pub auto_scale_lr: Option<Json>,
    /// Of this, `dist_cfg.timeout` counts: the seconds that processes wait for each other.
    #[kwarg(default = None)]
    pub env_cfg: Option<Json>,
    /// Which batch norms have the statistics of all processes: with `torch` or `mmcv` all of them.
    #[kwarg(default = None)]
    pub sync_bn: Option<String>,
    /// Whether a backward pass may leave out parameters, where several processes train.
    #[kwarg(default = false)]
    pub find_unused_parameters: bool,
    /// How the model is spread over processes: `MMDistributedDataParallel`, with `find_unused_parameters` and
    /// `broadcast_buffers`.
    #[kwarg(default = None)]
    pub model_wrapper_cfg: Option<Json>,
    /// Has no effect: nothing is imported.
    #[kwarg(default = None)]
    pub custom_imports: Option<Json>,
    /// Who starts the processes of the run.
    #[kwarg(default = None)]
    pub launcher: Option<String>,
}

/// Names of [`Config`]'s keys, for hints.
pub fn config_keys() -> Vec<String> {
    let schema: Json = serde_json::from_str(Config::SCHEMA).unwrap_or_default();
    let properties = schema["properties"].as_object();
    properties.into_iter().flat_map(|keys| keys.keys().cloned()).collect()
}

impl Component for Config {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Config"];
}

/// `randomness`.
#[derive(Kwargs)]
pub struct Randomness {
    /// Seed of all random numbers; drawn anew without it.
    #[kwarg(default = None)]
    pub seed: Option<u64>,
    /// Whether what a model draws at random differs between the processes of a run.
    #[kwarg(default = false)]
    pub diff_rank_seed: bool,
    /// Whether operations on a GPU that could give other bits take their deterministic form; on the CPU all have it.
    #[kwarg(default = false)]
    pub deterministic: bool,
}

impl Component for Randomness {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Randomness"];
}

/// `auto_scale_lr`.
#[derive(Kwargs)]
pub struct AutoScaleLr {
    /// Whether the learning rate is scaled.
    #[kwarg(default = false)]
    pub enable: bool,
    /// The batch size, over all processes, that the learning rate is meant for.
    #[kwarg(default = None, min = 1)]
    pub base_batch_size: Option<u64>,
}

impl Component for AutoScaleLr {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["AutoScaleLr"];
}

/// Trains by epochs.
#[derive(Kwargs)]
pub struct EpochBasedTrainLoop {
    /// Epochs of the run.
    #[kwarg(min = 1)]
    pub max_epochs: u64,
    /// The first epoch (from 1) after which a validation may run.
    #[kwarg(default = 1, min = 0)]
    pub val_begin: u64,
    /// Epochs between validations.
    #[kwarg(default = 1, min = 1)]
    pub val_interval: u64,
    /// From an epoch on, another interval: a list of (epoch, interval).
    #[kwarg(default = None)]
    pub dynamic_intervals: Option<Vec<(u64, u64)>>,
    /// MMEngine's other way to name the loop.
    #[kwarg(default = true, only(true))]
    pub by_epoch: bool,
}

impl Component for EpochBasedTrainLoop {
    const ROLE: Role = Role::TrainLoop;
    const NAMES: &'static [&'static str] = &["EpochBasedTrainLoop"];
}

/// Trains by iterations, as if they were one epoch.
#[derive(Kwargs)]
pub struct IterBasedTrainLoop {
    /// Iterations of the run.
    #[kwarg(min = 1)]
    pub max_iters: u64,
    /// The first iteration (from 1) after which a validation may run.
    #[kwarg(default = 1, min = 0)]
    pub val_begin: u64,
    /// Iterations between validations.
    #[kwarg(default = 1000, min = 1)]
    pub val_interval: u64,
    /// From an iteration on, another interval: a list of (iteration, interval).
    #[kwarg(default = None)]
    pub dynamic_intervals: Option<Vec<(u64, u64)>>,
    /// MMEngine's other way to name the loop.
    #[kwarg(default = false, only(false))]
    pub by_epoch: bool,
}

impl Component for IterBasedTrainLoop {
    const ROLE: Role = Role::TrainLoop;
    const NAMES: &'static [&'static str] = &["IterBasedTrainLoop"];
}

/// Validates.
#[derive(Kwargs)]
pub struct ValLoop {
    /// Whether the losses are computed on the validation data as well.
    #[kwarg(default = false)]
    pub loss: bool,
    /// Whether the model predicts in half precision: float16 on a GPU, bfloat16 on a CPU.
    #[kwarg(default = false)]
    pub fp16: bool,
}

impl Component for ValLoop {
    const ROLE: Role = Role::ValLoop;
    const NAMES: &'static [&'static str] = &["ValLoop"];
}

/// Tests.
#[derive(Kwargs)]
pub struct TestLoop {
    /// Whether the model predicts in half precision: float16 on a GPU, bfloat16 on a CPU.
    #[kwarg(default = false)]
    pub fp16: bool,
}

impl Component for TestLoop {
    const ROLE: Role = Role::TestLoop;
    const NAMES: &'static [&'static str] = &["TestLoop"];
}

/// How logged numbers are smoothed and written.
#[derive(Kwargs)]
pub struct LogProcessor {
    /// Iterations that a logged number is the mean of.
    #[kwarg(default = 10, min = 1)]
    pub window_size: u64,
    /// Whether lines count batches of an epoch; otherwise iterations of the run.
    #[kwarg(default = true)]
    pub by_epoch: bool,
    /// Further statistics: dicts with `data_src`, `method_name`, `window_size`, `log_name`.
    #[kwarg(default = None)]
    pub custom_cfg: Option<Vec<Json>>,
    /// Digits behind the point.
    #[kwarg(default = 4)]
    pub num_digits: u64,
    /// Whether names keep `train/` and `val/`.
    #[kwarg(default = false)]
    pub log_with_hierarchy: bool,
    /// Names of the numbers that are smoothed, a regular expression.
    #[kwarg(default = ".*(loss|time|data_time|grad_norm).*")]
    pub mean_pattern: String,
}

impl Component for LogProcessor {
    const ROLE: Role = Role::LogProcessor;
    const NAMES: &'static [&'static str] = &["LogProcessor"];
}

/// `visualizer`: where scalars and pictures go. Its `type` has no effect: this version draws detections.
#[derive(Kwargs)]
pub struct Visualizer {
    /// Where scalars, pictures and the config are written.
    #[kwarg(component = "visualizer_backend")]
    pub vis_backends: Option<Vec<Json>>,
    /// Has no effect: there is one visualizer.
    #[kwarg(default = "visualizer")]
    pub name: String,
    /// Has no effect.
    #[kwarg(default = None)]
    pub image: Option<Json>,
    /// Has no effect: backends say it.
    #[kwarg(default = None)]
    pub save_dir: Option<String>,
    /// Has no effect: colours come from the data set.
    #[kwarg(default = None)]
    pub bbox_color: Option<Json>,
    /// Has no effect: colours come from the data set.
    #[kwarg(default = None)]
    pub text_color: Option<Json>,
    /// Has no effect: masks are not known yet.
    #[kwarg(default = None)]
    pub mask_color: Option<Json>,
    /// Has no effect.
    #[kwarg(default = None)]
    pub line_width: Option<Json>,
    /// Has no effect.
    #[kwarg(default = None)]
    pub alpha: Option<f64>,
    /// Has no effect: it is about matplotlib.
    #[kwarg(default = None)]
    pub fig_save_cfg: Option<Json>,
    /// Has no effect: it is about matplotlib.
    #[kwarg(default = None)]
    pub fig_show_cfg: Option<Json>,
}

impl Component for Visualizer {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Visualizer"];
}

/// Files in the run's folder: scalars as JSON lines, pictures, the config.
#[derive(Kwargs)]
pub struct LocalVisBackend {
    /// Another folder than the run's.
    #[kwarg(default = None)]
    pub save_dir: Option<String>,
    /// Folder of pictures.
    #[kwarg(default = "vis_image")]
    pub img_save_dir: String,
    /// File of the config; ends in .py.
    #[kwarg(default = "config.py")]
    pub config_save_file: String,
    /// File of scalars; ends in .json.
    #[kwarg(default = "scalars.json")]
    pub scalar_save_file: String,
}

impl Component for LocalVisBackend {
    const ROLE: Role = Role::VisualizerBackend;
    const NAMES: &'static [&'static str] = &["LocalVisBackend"];
}

/// Event files for TensorBoard.
#[derive(Kwargs)]
pub struct TensorboardVisBackend {
    /// Another folder than the run's.
    #[kwarg(default = None)]
    pub save_dir: Option<String>,
}

impl Component for TensorboardVisBackend {
    const ROLE: Role = Role::VisualizerBackend;
    const NAMES: &'static [&'static str] = &["TensorboardVisBackend"];
}

pub(crate) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Config>(),
        Declared::of::<Randomness>(),
        Declared::of::<AutoScaleLr>(),
        Declared::of::<EpochBasedTrainLoop>(),
        Declared::of::<IterBasedTrainLoop>(),
        Declared::of::<ValLoop>(),
        Declared::of::<TestLoop>(),
        Declared::of::<LogProcessor>(),
        Declared::of::<Visualizer>(),
        Declared::of::<LocalVisBackend>(),
        Declared::of::<TensorboardVisBackend>(),
    ]
}
