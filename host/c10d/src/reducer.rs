//! The gradient reducer: gradients become means over all ranks while the backward pass goes on. Knows nothing of models.

use std::ptr::null_mut;

use tch::Tensor;

use crate::default_group::company;
use crate::error::{Error, Failure, check};
use crate::ffi;
use crate::group::{Group, pointers};
use crate::parameters;
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
    /// Whether ranks compare names, kinds, shapes and strides of their parameters first, so that an error names what differs.
    /// Off where ranks of PyTorch's `DistributedDataParallel` are in the group: then numbers and shapes are compared, as PyTorch
    /// does, with an error that names a place and one of the ranks. All ranks must have the same.
    pub compares: bool,
}

impl Default for ReducerOptions {
    fn default() -> ReducerOptions {
        ReducerOptions {
            bucket_bytes: 25 << 20,
            first_bucket_bytes: 1 << 20,
            find_unused_parameters: false,
            keep_buckets: false,
            compares: true,
        }
    }
}

/// Makes gradients the mean over all ranks, in buckets, each as soon as its gradients are there.
///
/// For each iteration that ends with an exchange: [`prepare_forward`](Reducer::prepare_forward), the forward pass,
/// [`prepare_backward`](Reducer::prepare_backward), [`backward`](Reducer::backward). An iteration without these calls adds up gradients on
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
    names: Vec<String>,
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
    /// Errors: no parameters; one that needs no gradient; ranks with other parameters, of which the first that differs is named; each
    /// on all ranks, if they [compare](ReducerOptions::compares). As [`Group::all_reduce`].
    pub fn new(
        group: &Group,
        parameters: &[(String, Tensor)],
        options: ReducerOptions,
    ) -> Result<Reducer, Error> {
        let operation = "comparing parameters";
        group.timed(|| match (parameters::check(parameters), options.compares) {
            (own, true) => parameters::compare(group, parameters, own),
            (own, false) => own,
        })?;
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
                bytes(options.bucket_bytes),
                bytes(options.first_bucket_bytes),
                options.find_unused_parameters,
                options.keep_buckets,
                !options.compares,
                &mut handle,
            )
        };
        group.timed(|| check(new(), operation))?;
        let finds_unused = options.find_unused_parameters;
        let names = parameters.iter().map(|(name, _)| name.clone()).collect();
        Ok(Reducer { handle, group: group.clone(), finds_unused, names })
    }

    /// Before the forward pass. The second one orders the buckets as gradients came in the first, which all ranks take
    /// over from rank 0, unless they are to stay.
    ///
    /// Errors: an earlier backward pass, by the free [`backward`], that left out parameters, which are named; as
    /// [`Group::all_reduce`].
    pub fn prepare_forward(&self) -> Result<(), Error> {
        self.check_complete(false)?;
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
    /// Errors: parameters that took no part in it on this rank, which are named, unless they are
    /// [looked for](ReducerOptions::find_unused_parameters): their gradients and some others are not means then, and ranks that
    /// exchange them wait for this one, until it closes the group. As [`Group::all_reduce`]; whatever autograd refuses.
    pub fn backward(&self, loss: &Tensor) -> Result<(), Error> {
        self.group.timed(|| run_backward(loss))?;
        self.check_complete(true)
    }

    /// Whether all parameters took part in the backward pass that was to end with an exchange: in the one that `is_over`, or
    /// the one before.
    fn check_complete(&self, is_over: bool) -> Result<(), Error> {
        let mut left_out = vec![0; self.names.len()];
        let mut count = left_out.len();
        // SAFETY: the reducer lives; there is room for as many numbers as `count` says, which is written to during the call alone.
        let code = unsafe {
            ffi::snaphook_c10d_reducer_left_out(
                self.handle,
                is_over,
                left_out.as_mut_ptr(),
                &mut count,
            )
        };
        self.group.checked(check(code, "exchange of gradients"))?;
        left_out.truncate(count);
        if left_out.is_empty() {
            return Ok(());
        }
        let names = left_out.iter().filter_map(|at| self.names.get(*at).map(String::as_str));
        let words = left_out_words(&names.collect::<Vec<_>>(), self.names.len());
        self.group.checked(Err(Error::new("exchange of gradients", Failure::Other, &words)))
    }
}

/// Sizes that no memory has are as good as the largest that libtorch can count.
fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn left_out_words(names: &[&str], all: usize) -> String {
    const SHOWN: usize = 10;
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (count, shown) = (names.len(), names[..names.len().min(SHOWN)].join(", "));
    format!(
        "expected all {all} parameters to take part in the backward pass, found {count} that did not: {shown}{more} (leave them \
         out of the model, freeze them, or set find_unused_parameters=True)"
    )
}

/// Runs a backward pass, with its failure as an error: [`tch::Tensor::backward`] panics. One that ends with an exchange of gradients is
/// [`Reducer::backward`]'s.
///
/// Errors: whatever autograd refuses, and what fails in the exchange of gradients or statistics, with rank and peer if it is in
/// the thread's [default group](crate::set_default_group).
pub fn backward(loss: &Tensor) -> Result<(), Error> {
    match company() {
        Some(group) => group.timed(|| run_backward(loss)),
        None => run_backward(loss),
    }
}

fn run_backward(loss: &Tensor) -> Result<(), Error> {
    // SAFETY: the tensor lives during the call.
    let code = unsafe { ffi::snaphook_c10d_backward(loss.as_ptr().cast_mut()) };
    check(code, "backward pass")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_took_no_part_are_named_up_to_ten() {
        let words = left_out_words(&["spare"], 5);
        let begin = "expected all 5 parameters to take part in the backward pass, found 1 that did not: spare (";
        assert!(words.starts_with(begin), "{words}");
        let many: Vec<String> = (0..12).map(|at| format!("p{at}")).collect();
        let words = left_out_words(&many.iter().map(String::as_str).collect::<Vec<_>>(), 12);
        assert!(words.contains(" p8, p9 and 2 more (") && !words.contains("p10"), "{words}");
    }
}
