//! What ranks and the launcher say.
//!
//! ```text
//! rank ─► pump ─► rank_N.log
//!           └───► queue ─► terminal ◄─ queue ◄─ the launcher's own words
//! ```
//!
//! A thread for each stream of a rank only reads and logs; a thread for each terminal shows, so that one that stands still
//! keeps neither ranks nor the launcher from their work. What waits for long is read back from the log.

mod pump;
mod queue;
mod rank_log;
mod terminal;

pub(crate) use pump::follow;
pub(crate) use rank_log::{RankLog, last_lines};
pub(crate) use terminal::{Show, Terminals, say, say_error};

/// What a line ends with, or a state of a progress bar.
const ENDS: [u8; 2] = *b"\n\r";
/// A line that is longer is taken for several.
const LONGEST_LINE: usize = 1 << 16;
