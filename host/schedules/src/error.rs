//! What can be wrong with a `param_scheduler` setting or a saved schedule.
//! Knows nothing of where the setting came from.

use crate::KwargsError;

/// A schedule that cannot be built or loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// A wrong key.
    #[error("param_scheduler: {0}")]
    Kwargs(#[from] KwargsError),
    /// No scheduler has this name.
    #[error("param_scheduler: unknown type `{name}`{hint} (known: {known})")]
    UnknownType {
        /// The name in the configuration.
        name: String,
        /// The nearest known name as a question.
        hint: String,
        /// All known names.
        known: String,
    },
    /// A combination of settings that has no meaning.
    #[error("param_scheduler {scheduler}: {reason}")]
    Invalid {
        /// The scheduler's type name.
        scheduler: String,
        /// Expected, found and the way out.
        reason: String,
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
