//! What can be wrong with a `param_scheduler` setting or a saved schedule.
//! Knows nothing of where the setting came from.

/// A schedule that cannot be built or loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// Wrong, missing or unknown arguments: `param_scheduler.1.gamma: expected …`.
    #[error("{0}")]
    Settings(String),
    /// No scheduler has this name.
    #[error("{key}.type: unknown scheduler `{name}`{hint} (known: {known})")]
    UnknownType {
        /// `param_scheduler`, or `param_scheduler.1` in a list.
        key: String,
        /// The name in the configuration.
        name: String,
        /// The nearest known name as a question.
        hint: String,
        /// All known names.
        known: String,
    },
    /// A validation without the metric that a schedule follows.
    #[error(
        "param_scheduler: ReduceOnPlateau expected the metric `{monitor}`, found {found} (set monitor)"
    )]
    NoMetric {
        /// The metric that was expected.
        monitor: String,
        /// Those of the validation.
        found: String,
    },
    /// An edit that cannot take effect.
    #[error(
        "param_scheduler: optimizer or schedules are others than in the checkpoint, and a schedule that follows a metric cannot be replayed: {changes} (resume with the settings as they were, or start a new run from the weights with load_from)"
    )]
    EditedPlateau {
        /// What changed.
        changes: String,
    },
    /// Saved state of another form.
    #[error("saved schedules: expected {expected}, found {found}")]
    Saved {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}
