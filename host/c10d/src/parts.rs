//! Collectives on a part for each rank. Knows nothing of what they are parts of.

use tch::{Tensor, no_grad};

use crate::error::{Error, Failure};
use crate::ffi;
use crate::group::{Group, pointers};
use crate::options::ReduceOp;
use crate::work::Work;

impl Group {
    /// Reduces the parts of all ranks: rank r gets the sum, mean, … of everybody's `parts[r]`.
    ///
    /// Shapes and kinds: the same for all parts on all ranks; as many parts as ranks. Errors: as [`Group::all_reduce`].
    pub fn reduce_scatter(&self, parts: &[Tensor], op: ReduceOp) -> Result<Tensor, Error> {
        let (output, work) = self.start_reduce_scatter(parts, op)?;
        work.wait().map(|()| output)
    }

    /// As [`Group::reduce_scatter`], in the background: the tensor has its values after the wait.
    ///
    /// Errors: as there.
    pub fn start_reduce_scatter(
        &self,
        parts: &[Tensor],
        op: ReduceOp,
    ) -> Result<(Tensor, Work), Error> {
        if parts.len() != self.size() {
            let message =
                format!("expected {} parts, one for each rank, found {}", self.size(), parts.len());
            let error = Error::new("reduce-scatter", Failure::Other, &message);
            return self.checked(Err(error));
        }
        parts.iter().try_for_each(|part| self.check_reducible(part, op, "reduce-scatter"))?;
        let output = no_grad(|| parts[0].empty_like());
        let (pointers, place) = (pointers(parts), output.as_ptr().cast_mut());
        let (device, code) = (output.device(), op.code(output.device()));
        let work = self.start("reduce-scatter", |group, out| {
            let (inputs, count) = (pointers.as_ptr(), pointers.len());
            // SAFETY: as for all-reduce.
            unsafe { ffi::snaphook_c10d_reduce_scatter(group, place, inputs, count, code, out) }
        })?;
        let work = match op.is_divided_after(device) {
            true => work.divided(output.shallow_clone()),
            false => work,
        };
        Ok((output, work))
    }

    /// Hands the r-th of `size` equal parts of the tensor to rank r: the result has the parts that all ranks have for this one,
    /// by rank.
    ///
    /// Shapes and kinds: the first dimension a multiple of `size`, the same on all ranks, contiguous. Errors: as
    /// [`Group::all_reduce`].
    pub fn all_to_all(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        let (output, work) = self.start_all_to_all(tensor)?;
        work.wait().map(|()| output)
    }

    /// As [`Group::all_to_all`], in the background: the tensor has its values after the wait.
    ///
    /// Errors: as there.
    pub fn start_all_to_all(&self, tensor: &Tensor) -> Result<(Tensor, Work), Error> {
        self.check_contiguous(tensor, "all-to-all")?;
        let output = no_grad(|| tensor.empty_like());
        let (input, place) = (tensor.as_ptr().cast_mut(), output.as_ptr().cast_mut());
        let work = self.start("all-to-all", |group, out| {
            // SAFETY: group and tensors live during the call; what goes on after it holds the tensors by itself.
            unsafe { ffi::snaphook_c10d_all_to_all(group, place, input, out) }
        })?;
        Ok((output, work))
    }
}
