//! Schedules of learning rate, momentum and weight decay, with MMEngine's arithmetic.
//!
//! A schedule changes the values of parameter groups (see [`ParamGroups`]) step by step; a step is an iteration or
//! an epoch. Knows nothing of libtorch, models or loops.

mod error;
mod family;
mod groups;
mod list;
mod plateau;
mod rule;
mod scheduler;
mod settings;
mod span;

pub use error::ScheduleError;
pub use family::{SchedulerType, declared, scheduler_types};
pub use groups::{GroupValues, ParamGroups, Quantity};
pub use list::{LoadedSchedules, ScheduleContext, Schedules, Unit};
