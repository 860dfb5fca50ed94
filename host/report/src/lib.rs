//! What a run leaves behind for people, and how it is shown. Links no libtorch.

mod error;
mod record;
pub mod tensorboard;

pub use error::ReportError;
pub use record::{Environment, HookCost, Kind, PhaseTime, Position, RUN_FILE, RunRecord, Status};
