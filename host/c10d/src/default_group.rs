//! The group that a thread trains in, for code that is far from whoever formed it: layers and losses of a model. What
//! PyTorch calls the default process group. Knows nothing of layers.

use std::cell::RefCell;

use tch::Tensor;

use crate::error::Error;
use crate::group::Group;
use crate::options::ReduceOp;
use crate::sync_batch_norm::{NormParameters, sync_batch_norm};

thread_local! {
    static DEFAULT: RefCell<Option<Group>> = const { RefCell::new(None) };
}

/// Makes `group` this thread's group, or `None` what it was before.
pub fn set_default_group(group: Option<Group>) {
    DEFAULT.with(|default| *default.borrow_mut() = group);
}

/// This thread's group.
pub fn default_group() -> Option<Group> {
    DEFAULT.with(|default| default.borrow().clone())
}

/// This thread's group, where it has more than one rank.
pub(crate) fn company() -> Option<Group> {
    default_group().filter(|group| group.size() > 1)
}

/// The mean of a number over the ranks of the thread's group: what MMDetection's `reduce_mean` is for, the number of
/// matched boxes that losses are divided by. The number itself where there is one rank.
///
/// A failure is kept: whoever trains asks for it with [`Group::failure`] after the forward pass.
pub fn mean_over_ranks(value: f64) -> f64 {
    let Some(group) = company() else { return value };
    match group.all_reduce_numbers(&[value], ReduceOp::Mean) {
        Ok(mean) => mean[0],
        Err(error) => {
            group.remember(error);
            value
        }
    }
}

/// Batch normalisation in training with the statistics of all ranks; `None` where there is one rank, or where the layer
/// is none that is synchronised.
///
/// A failure is kept as by [`mean_over_ranks`], and the input comes back.
pub fn normalize_over_ranks(
    input: &Tensor,
    parameters: &NormParameters<'_>,
    is_synchronized: bool,
) -> Option<Tensor> {
    let group = company()?;
    if !is_synchronized && !group.synchronizes_norms() {
        return None;
    }
    let normalized: Result<Tensor, Error> = sync_batch_norm(&group, input, parameters);
    Some(normalized.unwrap_or_else(|error| {
        group.remember(error);
        input.shallow_clone()
    }))
}
