//! What launchers say to each other: one line of JSON each. Knows nothing of when.

use serde::{Deserialize, Serialize};

use super::Standing;
use crate::ending::{Failure, RoundEnd};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Message {
    /// Who connects.
    Hello { node_rank: u32, nnodes: u32, version: String },
    /// Its ranks may start.
    Ready { ranks: u32, standing: Standing },
    /// All may start.
    Start { first_rank: u32, world_size: u32, port: u16, standing: Standing },
    /// The machine cannot take part.
    Refused { problem: String },
    /// The machine takes part later, or waits for others.
    Wait { why: String },
    /// A rank failed on this machine.
    Failed { failure: Failure },
    /// A rank failed somewhere: end yours.
    Stop { failure: Failure },
    /// Somebody had the job end: pass this on to your ranks, or end them at once.
    Ask { signal: i32, at_once: bool },
    /// All ranks of this machine have ended; the last signal that asked them to, if one did.
    Ended { end: RoundEnd, asked: Option<i32> },
    /// There will be another round.
    Again,
    /// There will be none, and why.
    Over { code: u8, reason: String },
    /// This launcher ends, since it cannot do its part.
    Leaving { failure: Failure },
    /// This launcher was ended before its ranks were started; its machine may come again.
    Away { why: String },
    /// Somebody is still there.
    Alive,
}
