//! Everything of a run that hooks can reach: model, optimizer, messages, counters, requests.
//! Knows nothing of the order in which things happen (see `loops`) nor of which hooks there are.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value as Json, json};
use snaphook_hooks::FinalCopy;
use snaphook_libtorch::{Listener, Total};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::Progress;
use tch::{Device, Tensor};

use crate::averaging::Averager;
use crate::checkpoint::Writer;
use crate::clock::{Clock, Track};
use crate::history::Messages;
use crate::log::{RunLogger, VisBackends, VisSettings};
use crate::optim::OptimWrapper;
use crate::ranks::Ranks;
use crate::settings::EvalSettings;
use crate::{AnyBatch, AnyPredictions, EvaluationSet, FastRun, Interrupt, Task};
use snaphook_schedules::Schedules;

/// The sum of the losses of a validation, as a metric.
pub(crate) const ALL_LOSSES: &str = "val_loss";

/// What a run is called and where it writes.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// `work_dirs/<config>`: checkpoints.
    pub work_dir: PathBuf,
    /// `work_dirs/<config>/<timestamp>`: logs and pictures.
    pub run_dir: PathBuf,
    /// `%Y%m%d_%H%M%S`.
    pub timestamp: String,
    /// `<config>_<timestamp>`.
    pub experiment_name: String,
    /// The config file.
    pub config_path: PathBuf,
    /// Seed of every random draw.
    pub seed: u64,
    /// Where the model lives.
    pub device: Device,
}

impl RunInfo {
    /// The folder of scalars, the resolved config and pictures.
    pub fn vis_data(&self) -> PathBuf {
        self.run_dir.join("vis_data")
    }

    pub(crate) fn to_json(&self) -> Json {
        json!({
            "work_dir": self.work_dir.to_string_lossy(),
            "run_dir": self.run_dir.to_string_lossy(),
            "timestamp": self.timestamp,
            "experiment_name": self.experiment_name,
            "config_path": self.config_path.to_string_lossy(),
            "seed": self.seed,
            "device": format!("{:?}", self.device).to_lowercase(),
            "version": env!("CARGO_PKG_VERSION"),
        })
    }
}

/// A checkpoint that a hook asked for.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct SaveRequest {
    pub(crate) name: String,
    /// Where it goes; the work folder without it.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) epoch: Option<u64>,
    pub(crate) iter: Option<u64>,
    pub(crate) optimizer: Option<bool>,
    pub(crate) schedules: Option<bool>,
    pub(crate) last: bool,
    pub(crate) best: Option<String>,
    /// Saved because the run ends early, not because its time had come.
    #[serde(skip)]
    pub(crate) interim: bool,
    /// Saved because something failed: no rank waits for what others have.
    #[serde(skip)]
    pub(crate) is_emergency: bool,
}

/// The state of a run. Implements the host services, see `services`.
pub struct Machine {
    /// Where lines go.
    pub log: RunLogger,
    /// The resolved config.
    pub config: Json,
    /// Names and places.
    pub info: RunInfo,
    /// Counters as hooks see them.
    pub progress: Progress,
    /// Model, data and metrics.
    pub task: Task,
    /// The optimizer, in a training run.
    pub optim: Option<OptimWrapper>,
    /// The schedules, in a training run.
    pub schedules: Option<Schedules>,
    /// Scalars with history, and information.
    pub messages: Messages,
    /// The processes that train together.
    pub ranks: Ranks,
    /// The hook that is being called, with the point; where several processes train alone.
    pub(crate) caller: Option<(String, HookPoint)>,
    /// What is known of each plugin that the run loaded (`name`, `version`, `sha256`, …); goes into checkpoints.
    pub plugins: Vec<Json>,
    /// The average of the weights, if a hook asked for one.
    pub averager: Option<Averager>,
    pub(crate) outputs: Vec<(String, Tensor)>,
    pub(crate) payload: Json,
    pub(crate) requests: VecDeque<SaveRequest>,
    pub(crate) stop: Option<String>,
    pub(crate) wants_validation: bool,
    pub(crate) entries: Map<String, Json>,
    pub(crate) batch: Option<AnyBatch>,
    pub(crate) predictions: Option<AnyPredictions>,
    pub(crate) visuals: Option<VisBackends>,
    pub(crate) vis_settings: VisSettings,
    /// Pictures that this test has drawn.
    pub(crate) drawn: u64,
    pub(crate) clock: Clock,
    /// Hears of libtorch's operators while a trace wants them.
    pub(crate) listener: Option<Listener>,
    /// The operators of the last trace.
    pub(crate) operators: Vec<Total>,
    /// Training iterations that were finished when this process began to train.
    pub(crate) first_iter: u64,
    pub(crate) resumed_from: Option<PathBuf>,
    /// The run that saved that checkpoint.
    pub(crate) resumed_experiment: Option<String>,
    /// Whether it trains on less data than there is: its checkpoints must not take the place of real ones.
    pub is_trial: bool,
    /// How validations and tests are made.
    pub(crate) eval_settings: EvalSettings,
    /// Whether this run only shows that everything works.
    pub(crate) fast: Option<FastRun>,
    /// Who asks the process to end.
    pub interrupt: Interrupt,
    /// The signal on account of which the run is ending; `interrupt` hears of further ones then.
    pub(crate) interrupted_by: Option<usize>,
    /// Whether training goes on after what runs now: weights were loaded, and hooks heard of the start.
    pub(crate) is_training_begun: bool,
    /// Whether a validation comes before the next training iteration.
    pub(crate) is_validation_pending: bool,
    /// Whether all of the state belongs to one iteration. It does not from the forward pass on, which moves running
    /// means, until the last hook of the iteration was called.
    pub(crate) is_whole: bool,
    /// Checkpoints on their way to the disk.
    pub(crate) writer: Writer,
    /// Where the run stood when it was saved last: a second checkpoint of the same moment is not needed.
    pub(crate) saved: Option<SavedMoment>,
    /// What that checkpoint says, while a validation is still to add to it.
    pub(crate) saved_state: Option<Json>,
    /// Folders of checkpoints besides the work folder.
    pub(crate) checkpoint_folders: Vec<PathBuf>,
    /// Checkpoints of interruptions, which the next regular one makes superfluous.
    pub(crate) interim: Vec<PathBuf>,
    /// What is to be copied when everything is written.
    pub(crate) final_copies: Vec<FinalCopy>,
}

/// A moment of the run that is in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedMoment {
    pub(crate) epoch: u64,
    pub(crate) iter: u64,
    pub(crate) is_validation_pending: bool,
    /// The checkpoint.
    pub(crate) path: PathBuf,
}

/// Stage numbers of [`Progress`].
pub(crate) mod stage {
    pub(crate) const IDLE: u32 = 0;
    pub(crate) const TRAIN: u32 = 1;
    pub(crate) const VAL: u32 = 2;
    pub(crate) const TEST: u32 = 3;
}

impl Machine {
    /// The state of a run that has not begun.
    pub fn new(log: RunLogger, config: Json, info: RunInfo, task: Task) -> Machine {
        Machine {
            log,
            config,
            info,
            task,
            progress: Progress::default(),
            optim: None,
            schedules: None,
            messages: Messages::default(),
            ranks: Ranks::single(),
            caller: None,
            plugins: Vec::new(),
            averager: None,
            outputs: Vec::new(),
            payload: Json::Null,
            requests: VecDeque::new(),
            stop: None,
            wants_validation: false,
            entries: Map::new(),
            batch: None,
            predictions: None,
            visuals: None,
            vis_settings: VisSettings::default(),
            drawn: 0,
            clock: Clock::default(),
            listener: None,
            operators: Vec::new(),
            first_iter: 0,
            resumed_from: None,
            resumed_experiment: None,
            is_trial: false,
            eval_settings: EvalSettings::default(),
            fast: None,
            interrupt: Interrupt::default(),
            interrupted_by: None,
            is_training_begun: false,
            is_validation_pending: false,
            is_whole: true,
            writer: Writer::default(),
            saved: None,
            saved_state: None,
            checkpoint_folders: Vec::new(),
            interim: Vec::new(),
            final_copies: Vec::new(),
        }
    }

    /// Where checkpoints go: the work folder; for a trial its own folder.
    pub(crate) fn home(&self) -> &Path {
        if self.is_trial { &self.info.run_dir } else { &self.info.work_dir }
    }

    /// Forgets the batch, its predictions and its outputs.
    pub(crate) fn end_step(&mut self) {
        self.batch = None;
        self.predictions = None;
        self.outputs.clear();
    }

    /// Writes an iteration that has ended into the trace, if there is one.
    pub(crate) fn trace_iteration(&mut self, began: Instant) {
        if self.clock.is_traced() {
            let name = format!("iteration {}", self.progress.iter);
            let details = json!({ "iter": self.progress.iter, "epoch": self.progress.epoch });
            self.clock.note(Track::Iteration, name, began, details);
        }
    }

    /// How many values of a scalar the log's means need: a window, or all batches of an evaluation.
    pub(crate) fn history_window(&self) -> usize {
        let window = self.config["log_processor"]["window_size"].as_u64().unwrap_or(10) as usize;
        let batches = |sets: &[EvaluationSet]| sets.iter().map(|set| set.data.batches()).sum();
        window.max(batches(&self.task.validation)).max(batches(&self.task.test))
    }

    /// The names of the metrics that a validation gives; `None` where they are not known before one, or there is none.
    pub(crate) fn metric_names(&self) -> Option<Vec<String>> {
        if self.task.validation.is_empty() {
            return None;
        }
        let losses = match self.eval_settings.loss {
            true => [self.task.model.loss_names()?, vec![ALL_LOSSES.to_owned()]].concat(),
            false => Vec::new(),
        };
        let mut all = Vec::new();
        for set in &self.task.validation {
            let names = set.evaluator.metric_names()?.into_iter().chain(losses.clone());
            all.extend(names.map(|name| set.metric_name(name)));
        }
        Some(all)
    }

    /// Meta data of a split: `train`, `val` or `test`.
    pub(crate) fn data_meta(&self, split: &str) -> Json {
        match split {
            "train" => self.task.train_data.as_ref().map(|data| data.meta()),
            "val" => self.task.validation.first().map(|set| set.data.meta()),
            "test" => self.task.test.first().map(|set| set.data.meta()),
            _ => None,
        }
        .unwrap_or(Json::Null)
    }
}
