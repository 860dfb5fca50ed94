//! A plugin tried out before a run depends on it: loaded and exercised in a child process, under limits and a deadline.
//!
//! ```text
//! check_in_child ─► child: limit_this_process ─► exercise ─► one line per event ─► CheckReport
//!  (supervise)              (limits)               (exercise, conformance)           (report)
//! ```

mod conformance;
mod exercise;
mod leaks;
mod limits;
mod report;
mod sample;
mod stop;
mod supervise;

pub use exercise::{Exercise, exercise};
pub use limits::{CheckLimits, limit_this_process, listen_to_stdout_alone};
pub use report::{CheckEnd, CheckReport, CheckStep, StepVerdict};
pub use stop::{end_by_signal, end_checks_on_signals};
pub use supervise::check_in_child;
