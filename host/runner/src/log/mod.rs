//! The run's log: MMEngine's lines on the console and in a file, and the records in `scalars.json`.

mod logger;
mod scalars;
mod vis_backends;

pub use logger::{Console, LogLayer, RunLogger};
pub use scalars::ScalarFile;
pub use vis_backends::{VisBackends, VisSettings};
