//! The machine that trains: loops, dispatcher, built-in hooks, optimizers, schedules, checkpoints and logs.
//!
//! What MMEngine is to MMDetection, this crate is to `snaphook-vision`. It knows nothing of pictures
//! (see [`Task`]) and nothing of `.so` files (a plugin's hook comes in as a
//! `snaphook_plugin_api::host::HookInstance`).

pub mod averaging;
pub mod checkpoint;
pub mod history;
pub mod optim;
pub mod schedule;
mod state;
mod task;

pub use state::{Entry, Layer, ModelState, Role, Scope};
pub use task::{
    AnyBatch, AnyPredictions, BoxError, DataSource, DrawRequest, Evaluation, Evaluator, Losses, Model,
    ModuleInfo, Painter, StepContext, Task,
};
