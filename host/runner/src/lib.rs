//! The machine that trains: loops, dispatcher, built-in hooks, optimizers, schedules, checkpoints and logs.
//!
//! What MMEngine is to MMDetection, this crate is to `snaphook-vision`. It knows nothing of pictures
//! (see [`Task`]) and nothing of `.so` files (a plugin's hook comes in as a
//! `snaphook_plugin_api::host::HookInstance`).

pub mod averaging;
pub mod checkpoint;
mod clock;
mod error;
mod final_copies;
pub mod history;
mod interrupt;
mod limit;
pub mod log;
mod loops;
mod machine;
pub mod optim;
pub mod panics;
mod progress_bar;
mod ranks;
mod record;
mod run;
mod saving;
mod services;
mod settings;
mod state;
mod task;
mod trial;
mod workdir;

pub use error::RunError;
pub use interrupt::{Interrupt, signal_name};
pub use limit::{Amount, Limited};
pub use machine::{Machine, RunInfo};
pub use ranks::{RankSettings, Ranks, Records};
pub use run::Run;
pub use saving::peek;
pub use settings::{EvalSettings, Length, Start, TrainSettings};
pub use state::{Entry, Layer, ModelState, Role, Scope};
pub use task::{
    AnyBatch, AnyPredictions, BoxError, DataSource, DrawRequest, Evaluation, EvaluationSet,
    Evaluator, Losses, Model, ModuleInfo, Order, Painter, Rest, StepContext, Task,
};
pub use trial::{FastRun, StepCost};
pub use workdir::RunNames;
