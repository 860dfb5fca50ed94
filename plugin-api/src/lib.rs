//! The contract between Snaphook and its hooks: what a hook is, what it can ask of the run, and how it
//! crosses from a `.so` file into the trainer. Knows nothing of libtorch, and not of any host.
//!
//! # A plugin from nothing
//!
//! A plugin is a crate of its own, in any repository, built with any compiler from 1.71 on:
//!
//! ```toml
//! [package]
//! name = "check-invalid-loss"
//! version = "0.1.0"
//! edition = "2021"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! snaphook-plugin-api = "1"
//! ```
//!
//! `src/lib.rs`, whole:
//!
//! ```
//! use snaphook_plugin_api::prelude::*;
//!
//! /// Stops a run whose loss is no longer finite.
//! #[derive(Kwargs)]
//! struct CheckInvalidLossHook {
//!     /// Check every this many training iterations.
//!     #[kwarg(default = 50, min = 1)]
//!     interval: u64,
//! }
//!
//! #[hook]
//! impl Hook for CheckInvalidLossHook {
//!     fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
//!         if runner.every_n_train_iters(self.interval) && !step.outputs.all_finite("loss")? {
//!             return Err(HookError::fatal("loss became infinite or NaN"));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_plugin!(CheckInvalidLossHook);
//!
//! // In a test of the crate:
//! use snaphook_plugin_api::testing::FakeRunner;
//! # fn main() {
//! let mut hook = CheckInvalidLossHook { interval: 1 };
//! let mut run = FakeRunner::new().output("loss", [f64::NAN]);
//! let error = run.run_point(&mut hook, HookPoint::AfterTrainIter, Some(0)).unwrap_err();
//! assert!(error.is_fatal());
//! # }
//! ```
//!
//! `cargo build --release`, put the `.so` into a folder `plugins` beside a config, and name the type in it:
//!
//! ```python
//! custom_hooks = [dict(type='CheckInvalidLossHook', interval=50)]
//! ```
//!
//! `snaphook plugins new NAME` writes such a crate, with a config and pictures to train on; `snaphook plugins check FILE`
//! does with the file everything that a host does.
//!
//! # Arguments
//!
//! Fields with `#[kwarg(…)]` are the arguments of the config; [`Kwargs`] lists what may stand there. Defaults, bounds and
//! documentation comments end up in the manifest, so a wrong argument is found before anything of the plugin runs, and
//! `snaphook plugins inspect` shows what there is.
//!
//! ```
//! use snaphook_plugin_api::prelude::*;
//!
//! /// Warns of a metric that falls.
//! #[derive(Kwargs)]
//! struct WatchMetricHook {
//!     /// The metric, such as coco/bbox_mAP.
//!     #[kwarg]
//!     metric: String,
//!     /// What is better.
//!     #[kwarg(default = "greater", choices("greater", "less"))]
//!     rule: String,
//!     /// How much worse is no matter.
//!     #[kwarg(default = 0.0, min = 0.0, max = 1.0)]
//!     tolerance: f64,
//!     /// Without `#[kwarg]`: state, which begins with its default.
//!     best: Option<f64>,
//! }
//!
//! #[hook(priority = "LOW", stability = "experimental")]
//! impl Hook for WatchMetricHook {
//!     fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
//!         let Some(value) = metrics.get(&self.metric) else {
//!             return Err(HookError::new(format!("no metric {}", self.metric)));
//!         };
//!         let sign = if self.rule == "greater" { 1.0 } else { -1.0 };
//!         match self.best {
//!             Some(best) if sign * (best - value) > self.tolerance => {
//!                 runner.warn(&format!("{} fell from {best} to {value}", self.metric));
//!             }
//!             Some(best) if sign * (value - best) <= 0.0 => {}
//!             _ => self.best = Some(value),
//!         }
//!         Ok(())
//!     }
//!
//!     fn save_state(&self) -> Option<HookState> {
//!         Some(HookState { version: 1, data: json!({ "best": self.best }) })
//!     }
//!
//!     fn load_state(&mut self, state: HookState) -> HookResult {
//!         if state.version != 1 {
//!             return Err(HookError::new(format!("a state of version {}", state.version)));
//!         }
//!         self.best = state.data["best"].as_f64();
//!         Ok(())
//!     }
//! }
//! # export_plugin!(WatchMetricHook);
//!
//! # fn main() {
//! # use snaphook_plugin_api::testing::FakeRunner;
//! let kwargs = json!({ "metric": "coco/bbox_mAP" });
//! let mut hook = WatchMetricHook::from_kwargs("WatchMetricHook", &kwargs).unwrap();
//! for (value, warnings) in [(0.3, 0), (0.4, 0), (0.2, 1)] {
//!     let mut run = FakeRunner::new().metrics([("coco/bbox_mAP", value)]);
//!     run.run_point(&mut hook, HookPoint::AfterValEpoch, None).unwrap();
//!     assert_eq!(run.logged().len(), warnings);
//! }
//! # }
//! ```
//!
//! # What a hook sees and does
//!
//! Each method of [`Hook`] belongs to a [`HookPoint`], in MMEngine's order. [`Runner`] has the counters (`epoch`, `iter`, `every_n_train_iters`),
//! the log, and the host's services by name: [`messages`](Runner::messages) for scalars, [`model`](Runner::model),
//! [`optimizer`](Runner::optimizer), [`data`](Runner::data), [`checkpoints`](Runner::checkpoints),
//! [`control`](Runner::control) to end a run, [`distributed`](Runner::distributed), and more in [`services`]. What was
//! computed comes with the point: losses in [`TrainStep`], [`Metrics`] after a validation, [`SavedCheckpoint`].
//!
//! # Tests
//!
//! [`testing::FakeRunner`] is a run in memory: set what the hook shall find, call a point, look at what it did. No trainer
//! and no libtorch is needed, so `cargo test` takes seconds.
//!
//! # What an author should know
//!
//! - The documentation comments of the struct and its fields, the defaults and the bounds go into the
//!   file's manifest; hosts show them and check a config against them without running the plugin.
//! - Only the points whose methods are written are called; the others cost nothing.
//! - Fields without `#[kwarg]` are state. What must survive a resume goes through
//!   [`Hook::save_state`] and [`Hook::load_state`].
//! - A panic is caught in the plugin and reported with its place; the hook is not called again. Do not
//!   build plugins with `panic = "abort"`: hosts refuse them.
//! - A call that takes longer than the config's `deadline_s` for this hook (30 seconds without) is reported while it hangs.
//! - A [`Runner`] is for the thread and the call that it was given to. From a thread of your own log with
//!   `log` or `tracing`: their records reach the run's log under the plugin's name.
//! - Code is never unloaded; a rebuilt plugin takes effect in the next run.
//!
//! # What is promised
//!
//! A plugin built with 1.x loads and runs in every host that offers 1.x or later of the same major number;
//! [`abi`] has the rules. A service that a host lacks answers [`ServiceError::Unsupported`].

extern crate self as snaphook_plugin_api;

pub mod abi;
mod arguments;
mod dispatch;
mod error;
mod export;
mod guard;
mod hook;
pub mod host;
mod kwargs;
mod kwargs_schema;
mod log_bridge;
pub mod manifest;
mod panics;
#[doc(hidden)]
pub mod plugin;
mod point;
mod runner;
pub mod services;
pub mod testing;

pub use arguments::{
    Batch, Checkpoint, EvalStep, Metrics, Outputs, RunError, SavedCheckpoint, Tensor, TrainStep,
    WantedCheckpoint,
};
pub use error::{HookError, HookErrorKind, Location};
pub use hook::{Hook, HookResult, HookState};
pub use host::{LogLevel, ServiceError};
pub use kwargs::{KwargValue, Kwargs};
pub use kwargs_schema::{check_kwargs, kwargs_problems, nearest, KwargsProblem, KwargsProblemKind};
pub use point::HookPoint;
pub use runner::{Runner, Stage};
pub use serde_json::{json, Value as Json};
pub use services::{DeviceMemory, OperatorTotal, ScheduleUnit, TraceFile};
pub use snaphook_plugin_api_macros::{hook, Kwargs};

/// What a hook's source begins with.
pub mod prelude {
    pub use crate::{
        export_plugin, hook, json, Batch, Checkpoint, EvalStep, Hook, HookError, HookErrorKind,
        HookPoint, HookResult, HookState, Json, Kwargs, LogLevel, Metrics, Outputs, RunError,
        Runner, SavedCheckpoint, ScheduleUnit, ServiceError, Stage, Tensor, TrainStep,
        WantedCheckpoint,
    };
}

/// For the code that the macros write; no part of the contract.
#[doc(hidden)]
pub mod __private {
    pub use crate::kwargs::Reader;
    pub use crate::{manifest, plugin};
    pub use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};

    /// The entry points as abi_stable wants them.
    pub fn root_module(module: fn() -> crate::abi::PluginModuleRef) -> RootModuleResult {
        abi_stable::library::__call_root_module_loader(module)
    }

    /// Reads the text of keyword arguments and builds a type from them.
    pub fn construct<T: crate::Kwargs>(name: &str, kwargs: &str) -> Result<T, crate::HookError> {
        let kwargs = serde_json::from_str(kwargs).map_err(|error| {
            let message =
                format!("{name}: expected keyword arguments as JSON, found otherwise ({error})");
            crate::HookError::new(message)
        })?;
        T::from_kwargs(name, &kwargs)
    }
}
