//! What a checkpoint consists of, in memory.
//! Knows nothing of files.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tch::Tensor;

use crate::optim::OptimState;

/// A checkpoint in memory.
///
/// Tensors are written as they are when [`save`](super::save) runs; to save in the background, put copies here.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Epoch, iteration, configuration and what else describes it.
    pub meta: Json,
    /// The weights that people use.
    pub model: Vec<(String, Tensor)>,
    /// The optimizer's state, if it is saved.
    pub optimizer: Option<OptimState>,
    /// Everything else that is not a tensor, by name.
    pub entries: Map<String, Json>,
    /// Further tensors by group, a file each; plain names such as `ema`.
    pub tensors: BTreeMap<String, Vec<(String, Tensor)>>,
}
