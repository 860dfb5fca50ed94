//! How long a call into a plugin may take. Knows nothing of who keeps the time.

use std::time::Duration;

/// How long a call of a hook may take, and what then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline {
    /// The longest that a call may take.
    pub after: Duration,
    /// Whether the run ends when a call takes twice as long and still does not come back.
    pub ends_run: bool,
}
