//! What launchers say to each other: one line of JSON each. Knows nothing of when.

use serde::{Deserialize, Serialize};

use crate::ending::{Failure, RoundEnd};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Message {
    /// Who connects.
    Hello { node_rank: u32, nnodes: u32, version: String },
    /// Its ranks may start.
    Ready { ranks: u32 },
    /// All may start.
    Start { first_rank: u32, world_size: u32, port: u16 },
    /// The machine cannot take part.
    Refused { problem: String },
    /// A rank failed on this machine.
    Failed { failure: Failure },
    /// A rank failed somewhere: end yours.
    Stop { failure: Failure },
    /// All ranks of this machine have ended.
    Ended { end: RoundEnd },
    /// There will be another round.
    Again,
    /// There will be none.
    Over { code: u8 },
    /// Somebody is still there.
    Alive,
}
