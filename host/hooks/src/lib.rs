//! The built-in hooks, the order in which hooks are called, and the calling.
//!
//! No libtorch here, so that `snaphook hooks list` answers at once and hooks are tested without a trainer.
//! What a hook can reach is behind [`Services`](snaphook_plugin_api::host::Services); the runner's machine
//! and the fake runner of plugin-api both implement it.

pub mod built_in;
mod dispatcher;
mod fault;
mod line;
mod listing;
mod log_processor;
mod priority;
mod python_json;
mod spec;

pub use built_in::FinalCopy;
pub use dispatcher::{Dispatcher, HookCost, HookRow, Host, SavedHook, source_label};
pub use fault::HookFault;
pub use line::{Fields, IterationNumbers, LineHeader, duration, iteration_line, summary_line};
pub use listing::hook_table;
pub use log_processor::check_log_processor;
pub use priority::{HookDeadline, HookPolicy, OnError, Priority};
pub use python_json::{number, python_json};
pub use spec::{DEFAULT_HOOKS, HookSpec, SpecError, hook_specs, plain_type};
