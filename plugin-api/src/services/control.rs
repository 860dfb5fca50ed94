//! The course of the run, and who asks for its end. Knows nothing of how signals are caught.

use super::{ids, text, Control, ServiceResult};
use serde_json::json;

/// A signal that asked the run to save and end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interruption {
    /// The signal's number.
    pub signal: u64,
    /// As people call it, `SIGTERM`.
    pub name: String,
    /// 1; 2 when the process was asked once more while the run was ending.
    pub times: u64,
}

impl Control<'_> {
    /// Ends the training after this iteration, in good order, with a reason for the log.
    pub fn stop(&self, reason: &str) -> ServiceResult<()> {
        self.host.call(ids::CONTROL, "stop", &json!({ "reason": reason })).map(drop)
    }

    /// Asks for a validation after this epoch or iteration.
    pub fn request_validation(&self) -> ServiceResult<()> {
        self.host.call(ids::CONTROL, "validate", &json!({})).map(drop)
    }

    /// Who asked this process to end, if anybody did. At [`Hook::after_run`](crate::Hook::after_run) it tells a run that was
    /// interrupted, and goes on later, from one that is over. A hook that waits looks here now and then, and leaves what can
    /// wait to the next run: when it came since the wait began, with a first signal or another one (`times`).
    pub fn interruption(&self) -> ServiceResult<Option<Interruption>> {
        let answer = self.host.call(ids::CONTROL, "interruption", &json!({}))?;
        let Some(signal) = answer["signal"].as_u64() else { return Ok(None) };
        let times = answer["times"].as_u64().unwrap_or(1);
        Ok(Some(Interruption { signal, name: text(&answer, "name"), times }))
    }
}
