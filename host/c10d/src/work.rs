//! A collective that goes on in the background. Knows nothing of which one it is.

use std::time::{Duration, Instant};

use tch::{Tensor, no_grad};

use crate::error::{Error, check};
use crate::ffi;
use crate::group::Group;
use crate::store::milliseconds;

/// A collective that has begun; its tensors have their values once [`wait`](Work::wait) has returned.
///
/// One that is dropped goes on, and its tensors stay alive as long. Then nobody divides a mean on the CPU: it stays the sum,
/// since Gloo has no mean, and scaling what is added up would round otherwise.
#[must_use = "tensors have their values after wait()"]
#[derive(Debug)]
pub struct Work {
    handle: *mut ffi::WorkHandle,
    group: Group,
    operation: &'static str,
    began: Instant,
    /// What is to be divided by the number of ranks at the end.
    sum: Option<Tensor>,
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: the handle came from the shim and is given back once; libtorch keeps what is still at work.
        unsafe { ffi::snaphook_c10d_work_free(self.handle) }
    }
}

impl Work {
    pub(crate) fn new(
        handle: *mut ffi::WorkHandle,
        group: &Group,
        operation: &'static str,
    ) -> Work {
        Work { handle, group: group.clone(), operation, began: Instant::now(), sum: None }
    }

    pub(crate) fn divided(self, sum: Tensor) -> Work {
        let mut work = self;
        work.sum = Some(sum);
        work
    }

    /// Waits until the collective is over.
    ///
    /// Errors: another rank did not take part within the group's timeout, or is gone. The group is of no use then.
    pub fn wait(self) -> Result<(), Error> {
        self.finish(0)
    }

    /// Waits at most so long.
    ///
    /// Errors: as [`Work::wait`].
    pub fn wait_for(self, timeout: Duration) -> Result<(), Error> {
        self.finish(milliseconds(timeout))
    }

    fn finish(self, timeout_ms: i64) -> Result<(), Error> {
        let mut work = self;
        // SAFETY: the handle lives until `work` is dropped.
        let code = unsafe { ffi::snaphook_c10d_work_wait(work.handle, timeout_ms) };
        let checked = check(code, work.operation);
        work.group.checked(checked.map_err(|error| error.after(work.began.elapsed())))?;
        if let Some(mut sum) = work.sum.take() {
            let _ = no_grad(|| sum.g_div_scalar_(work.group.size() as f64));
        }
        Ok(())
    }

    /// Whether it is over, well or not.
    pub fn is_completed(&self) -> bool {
        // SAFETY: the handle lives as long as `self`.
        unsafe { ffi::snaphook_c10d_work_is_completed(self.handle) }
    }
}
