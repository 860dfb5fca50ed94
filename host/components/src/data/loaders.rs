//! Data loaders: batches, order, threads.

use snaphook_plugin_api::{Json, Kwargs};

use crate::{Component, Declared, Role};

/// `train_dataloader`, `val_dataloader`, `test_dataloader`.
#[derive(Kwargs)]
pub struct Dataloader {
    /// The data set.
    #[kwarg(component = "dataset")]
    pub dataset: Json,
    /// What the metrics of this set begin with, where a validation or test has several.
    #[kwarg(default = None)]
    pub name: Option<String>,
    /// Samples in a batch.
    #[kwarg(default = 1, min = 1)]
    pub batch_size: usize,
    /// Threads that make samples; 0: the one that trains.
    #[kwarg(default = 0, max = 1024)]
    pub num_workers: usize,
    /// The order of samples; as they stand without it.
    #[kwarg(component = "data_sampler")]
    pub sampler: Option<Json>,
    /// How samples are grouped.
    #[kwarg(component = "batch_sampler")]
    pub batch_sampler: Option<Json>,
    /// How samples are joined.
    #[kwarg(component = "collation")]
    pub collate_fn: Option<Json>,
    /// Whether a last batch that is not full is left out.
    #[kwarg(default = false)]
    pub drop_last: bool,
    /// What a picture that cannot be read means: `'stop'` ends the run, `'skip'` leaves it out.
    #[kwarg(default = None, choices("stop", "skip"))]
    pub on_bad_image: Option<String>,
    /// Has no effect: threads stay.
    #[kwarg(default = false)]
    pub persistent_workers: bool,
    /// Has no effect: it is about processes.
    #[kwarg(default = false)]
    pub pin_memory: bool,
    /// Has no effect: it is about processes.
    #[kwarg(default = None)]
    pub prefetch_factor: Option<i64>,
    /// Has no effect: it is about processes.
    #[kwarg(default = None)]
    pub multiprocessing_context: Option<Json>,
    /// Has no effect: it is about processes.
    #[kwarg(default = 0)]
    pub timeout: f64,
    /// Has no effect: it is about processes.
    #[kwarg(default = None)]
    pub worker_init_fn: Option<Json>,
}

impl Component for Dataloader {
    const ROLE: Role = Role::Settings;
    const NAMES: &'static [&'static str] = &["Dataloader"];
}

/// Each sample once an epoch, in random order or as they stand.
#[derive(Kwargs)]
pub struct DefaultSampler {
    /// Whether each epoch has its own random order.
    #[kwarg(default = true)]
    pub shuffle: bool,
    /// Seed of the order; that of the run without it.
    #[kwarg(default = None)]
    pub seed: Option<u64>,
    /// Whether samples are repeated so that all processes get the same number.
    #[kwarg(default = true)]
    pub round_up: bool,
}

impl Component for DefaultSampler {
    const ROLE: Role = Role::DataSampler;
    const NAMES: &'static [&'static str] = &["DefaultSampler"];
}

/// One shuffled pass after the other without an end, for loops that count iterations.
#[derive(Kwargs)]
pub struct InfiniteSampler {
    /// Whether each pass has its own random order.
    #[kwarg(default = true)]
    pub shuffle: bool,
    /// Seed of the order; that of the run without it.
    #[kwarg(default = None)]
    pub seed: Option<u64>,
}

impl Component for InfiniteSampler {
    const ROLE: Role = Role::DataSampler;
    const NAMES: &'static [&'static str] = &["InfiniteSampler"];
}

/// As many pictures of each class, however rare it is, drawn class after class.
#[derive(Kwargs)]
pub struct ClassAwareSampler {
    /// Seed of the order; that of the run without it.
    #[kwarg(default = None)]
    pub seed: Option<u64>,
    /// Pictures in a row of the same class.
    #[kwarg(default = 1, min = 1)]
    pub num_sample_class: usize,
}

impl Component for ClassAwareSampler {
    const ROLE: Role = Role::DataSampler;
    const NAMES: &'static [&'static str] = &["ClassAwareSampler"];
}

/// Batches of pictures that are all wider than high, or all not: less is padded.
#[derive(Kwargs)]
pub struct AspectRatioBatchSampler {}

impl Component for AspectRatioBatchSampler {
    const ROLE: Role = Role::BatchSampler;
    const NAMES: &'static [&'static str] = &["AspectRatioBatchSampler"];
}

/// Keeps samples apart: pictures of different sizes make a batch.
#[derive(Kwargs)]
pub struct PseudoCollate {}

impl Component for PseudoCollate {
    const ROLE: Role = Role::Collation;
    const NAMES: &'static [&'static str] = &["pseudo_collate"];
}

pub(super) fn declared() -> Vec<Declared> {
    vec![
        Declared::of::<Dataloader>(),
        Declared::of::<DefaultSampler>(),
        Declared::of::<InfiniteSampler>(),
        Declared::of::<ClassAwareSampler>(),
        Declared::of::<AspectRatioBatchSampler>(),
        Declared::of::<PseudoCollate>(),
    ]
}
