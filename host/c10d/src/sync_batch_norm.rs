//! Batch normalisation with the statistics of all ranks. Knows nothing of layers.

use std::ptr::null_mut;

use tch::Tensor;

use crate::error::{Error, check};
use crate::ffi;
use crate::group::Group;

/// What batch normalisation has beside its input.
#[derive(Debug)]
pub struct NormParameters<'a> {
    /// Scale and shift, each `[C]`; f64 with input of f64, else f32 or of the input's kind.
    pub affine: Option<(&'a Tensor, &'a Tensor)>,
    /// Running mean and variance, each `[C]`, f32 or f64; updated in place.
    pub running: Option<(&'a Tensor, &'a Tensor)>,
    /// Share of the new statistics in the running ones.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

/// Normalises over the batches of all ranks, in training; autograd knows its derivative, which is a collective too.
///
/// Shapes: `input` [N, C, ...] of floating point, N of its own on each rank and 0 at least, C the same on all; the output is of
/// the same shape and kind. Statistics are computed in f32, and in f64 for input of f64.
///
/// Errors: input of whole numbers or without channels; as [`Group::all_reduce`].
///
/// Source: `torch/nn/modules/_functions.py`, `SyncBatchNorm`; unlike it, this runs on the CPU too.
pub fn sync_batch_norm(
    group: &Group,
    input: &Tensor,
    parameters: &NormParameters<'_>,
) -> Result<Tensor, Error> {
    let pointer = |tensor: &Tensor| tensor.as_ptr().cast_mut();
    let pair = |pair: Option<(&Tensor, &Tensor)>| match pair {
        Some((first, second)) => (pointer(first), pointer(second)),
        None => (null_mut(), null_mut()),
    };
    let ((weight, bias), (mean, variance)) = (pair(parameters.affine), pair(parameters.running));
    let mut output = null_mut();
    group.timed(|| {
        // SAFETY: all tensors live during the call, and those that autograd needs later are held by it; null stands for
        // none; `output` is written before success is returned.
        let code = unsafe {
            ffi::snaphook_c10d_sync_batch_norm(
                pointer(input),
                weight,
                bias,
                mean,
                variance,
                parameters.momentum,
                parameters.eps,
                group.handle(),
                &mut output,
            )
        };
        check(code, "synchronised batch norm")
    })?;
    // SAFETY: a new tensor that nobody else has.
    Ok(unsafe { Tensor::from_ptr(output) })
}
