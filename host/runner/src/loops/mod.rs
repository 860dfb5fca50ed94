//! The loops: which hook point comes when, and with which counters.

mod eval;
mod train;

pub(crate) use eval::{EvalStage, evaluate};
pub(crate) use train::{exception_payload, train};
