//! The contract between Snaphook and its hooks: what a hook is, what it can ask of the run, and how it
//! crosses from a `.so` file into the trainer. Knows nothing of libtorch, and not of any host.

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
};
pub use error::{HookError, HookErrorKind, Location};
pub use hook::{Hook, HookResult, HookState};
pub use host::{LogLevel, ServiceError};
pub use kwargs::{KwargValue, Kwargs};
pub use kwargs_schema::{check_kwargs, nearest};
pub use point::HookPoint;
pub use runner::{Runner, Stage};
pub use serde_json::{json, Value as Json};
pub use services::ScheduleUnit;
pub use snaphook_plugin_api_macros::{hook, Kwargs};

/// What a hook's source begins with.
pub mod prelude {
    pub use crate::{
        export_plugin, hook, json, Batch, Checkpoint, EvalStep, Hook, HookError, HookErrorKind,
        HookPoint, HookResult, HookState, Json, Kwargs, LogLevel, Metrics, Outputs, RunError,
        Runner, SavedCheckpoint, ScheduleUnit, ServiceError, Stage, Tensor, TrainStep,
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
