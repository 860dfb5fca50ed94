//! The gradient reducer: gradients become means over all ranks while the backward pass goes on. Knows nothing of models.

use std::ptr::null_mut;

use tch::Tensor;

use crate::error::{Error, check};
use crate::ffi;
use crate::group::{Group, pointers};
use crate::store::text;

/// How gradients are exchanged; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReducerOptions {
    /// Gradients in one message, in bytes.
    pub bucket_bytes: u64,
    /// The same for the first message of a backward pass, so that the exchange begins early.
    pub first_bucket_bytes: u64,
    /// Whether a backward pass may leave out parameters. Each pass then costs a walk through the graph and one more
    /// all-reduce.
    pub find_unused_parameters: bool,
    /// Whether buckets stay as they were made at first, in the reverse order of the parameters, where PyTorch makes them anew
    /// after the first backward pass, in the order in which gradients came. The order in which numbers are added up depends
    /// on the buckets, so a run that begins anew in its middle gives the same bits with buckets that stay. All ranks must
    /// have the same.
    pub keep_buckets: bool,
}

impl Default for ReducerOptions {
    fn default() -> ReducerOptions {
        ReducerOptions {
            bucket_bytes: 25 << 20,
            first_bucket_bytes: 1 << 20,
            find_unused_parameters: false,
            keep_buckets: false,
        }
    }
}

/// Makes gradients the mean over all ranks, in buckets, each as soon as its gradients are there.
///
/// For each iteration that ends with an exchange: [`prepare_forward`](Reducer::prepare_forward), the forward pass,
/// [`prepare_backward`](Reducer::prepare_backward), [`backward`]. An iteration without these calls adds up gradients on
/// its own rank alone, which is what PyTorch's `no_sync` does.
///
/// Gradients that are there already are written in place, so views into a longer tensor stay views.
///
/// Source: `torch/csrc/distributed/c10d/reducer.cpp`, called in the order of `torch/nn/parallel/distributed.py`.
#[derive(Debug)]
pub struct Reducer {
    handle: *mut ffi::ReducerHandle,
    group: Group,
    finds_unused: bool,
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // After a failure, buckets may still be on their way: the end of the process takes all of it down.
        if !self.group.is_broken() {
            // SAFETY: the handle came from the shim and is given back once.
            unsafe { ffi::snaphook_c10d_reducer_free(self.handle) }
        }
    }
}

impl Reducer {
    /// A reducer for these parameters, in the same order on all ranks, with their names for messages.
    ///
    /// Errors: ranks with other parameters; a parameter that needs no gradient; as [`Group::all_reduce`].
    pub fn new(
        group: &Group,
        parameters: &[(String, Tensor)],
        options: ReducerOptions,
    ) -> Result<Reducer, Error> {
        let operation = "comparing parameters";
        let names: Result<Vec<_>, Error> =
            parameters.iter().map(|(name, _)| text(name, operation)).collect();
        let names = names?;
        let names: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        let tensors = pointers(&tensors);
        let mut handle = null_mut();
        // SAFETY: all pointers live during the call, which copies what it keeps; `handle` is written before success is
        // returned. `names` holds as many texts as there are tensors.
        let mut new = || unsafe {
            ffi::snaphook_c10d_reducer_new(
                tensors.as_ptr(),
                names.as_ptr(),
                parameters.len(),
                group.handle(),
                options.bucket_bytes as i64,
                options.first_bucket_bytes as i64,
                options.find_unused_parameters,
                options.keep_buckets,
                &mut handle,
            )
        };
        group.timed(|| check(new(), operation))?;
        let finds_unused = options.find_unused_parameters;
        Ok(Reducer { handle, group: group.clone(), finds_unused })
    }

    /// Before the forward pass. The second one orders the buckets as gradients came in the first, which all ranks take
    /// over from rank 0, unless they are to stay.
    ///
    /// Errors: an earlier backward pass that left out a parameter, which is named by its number; as
    /// [`Group::all_reduce`].
    pub fn prepare_forward(&self) -> Result<(), Error> {
        // SAFETY: the reducer lives.
        let prepare = || unsafe { ffi::snaphook_c10d_reducer_prepare_forward(self.handle) };
        self.group.timed(|| check(prepare(), "preparing the exchange of gradients"))
    }

    /// Between forward and backward pass; `outputs` are what the backward pass begins at.
    ///
    /// Errors: as [`Reducer::prepare_forward`].
    pub fn prepare_backward(&self, outputs: &[&Tensor]) -> Result<(), Error> {
        // Without a look for unused parameters, the graph is not walked through.
        let outputs = if self.finds_unused { outputs } else { &[] };
        let pointers: Vec<_> = outputs.iter().map(|output| output.as_ptr().cast_mut()).collect();
        // SAFETY: reducer and tensors live during the call.
        let code = unsafe {
            ffi::snaphook_c10d_reducer_prepare_backward(
                self.handle,
                pointers.as_ptr(),
                pointers.len(),
            )
        };
        self.group.checked(check(code, "preparing the exchange of gradients"))
    }

    /// Runs the backward pass, after which the gradients are means over all ranks.
    ///
    /// Errors: as [`Group::all_reduce`]; whatever autograd refuses.
    pub fn backward(&self, loss: &Tensor) -> Result<(), Error> {
        self.group.timed(|| backward(loss))
    }
}

/// Runs a backward pass, with its failure as an error: [`tch::Tensor::backward`] panics.
///
/// Errors: whatever autograd refuses, and what fails in the exchange of gradients or statistics.
pub fn backward(loss: &Tensor) -> Result<(), Error> {
    // SAFETY: the tensor lives during the call.
    let code = unsafe { ffi::snaphook_c10d_backward(loss.as_ptr().cast_mut()) };
    check(code, "backward pass")
}
