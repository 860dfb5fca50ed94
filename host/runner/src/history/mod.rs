//! Scalars with their history, and information: what MMEngine calls the message hub.
//!
//! Knows nothing of logs or loops.

mod messages;
mod series;

pub use messages::{HistoryError, Messages};
