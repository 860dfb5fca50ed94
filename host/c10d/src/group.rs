//! Process groups: collectives on tensors. Knows nothing of gradients.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::raw::c_int;
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tch::{Tensor, no_grad};

use crate::addresses::Peers;
use crate::error::{Error, Failure, check};
use crate::ffi::{self, TensorPointer};
use crate::options::{GroupOptions, ReduceOp};
use crate::store::{Store, milliseconds, text};
use crate::work::Work;

/// The processes of a job, as one of them sees it: its rank, how many there are, and collectives.
///
/// A clone is the same group. After an error of a collective the group is of no use, since ranks are at different places.
///
/// Every rank must make the same collectives in the same order, with the same root and operation, with tensors of the same shape and
/// kind. Nobody compares: where lengths differ, Gloo ends the process without an error (`gloo::EnforceNotMet`) or leaves a part of
/// the larger tensor as it was; where kinds of the same length differ, numbers are wrong; another collective is waited for until the
/// timeout. [`GroupOptions::checks`] finds such a mistake.
#[derive(Clone, Debug)]
pub struct Group {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: *mut ffi::GroupHandle,
    rank: usize,
    size: usize,
    store: Store,
    timeout: Cell<Duration>,
    is_broken: Cell<bool>,
    broken_by: RefCell<Option<Error>>,
    is_closed: Cell<bool>,
    failure: RefCell<Option<Error>>,
    synchronizes_norms: Cell<bool>,
    has_nccl: Cell<bool>,
    peers: OnceCell<Peers>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Taking down a group waits for what is still queued, and after a failure nobody answers: the end of the process
        // closes the connections then, or `close` has.
        if !self.is_broken.get() {
            // SAFETY: the handle came from the shim and is given back once.
            unsafe { ffi::snaphook_c10d_group_free(self.handle) }
        }
    }
}

pub(crate) fn pointers(tensors: &[Tensor]) -> Vec<TensorPointer> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut()).collect()
}

impl Group {
    /// Joins the ranks that meet at `store`, over TCP with Gloo; returns when all `size` have come. Ranks tell each other the
    /// addresses of their connections, so that errors name the rank whose connection broke, also when the store is gone.
    ///
    /// A second group needs a store with another [prefix](Store::with_prefix), also where the first one is no more.
    ///
    /// Errors: one of them does not come within the timeout, or cannot be reached; this rank has joined a group at this
    /// store before.
    pub fn gloo(
        store: &Store,
        rank: usize,
        size: usize,
        options: &GroupOptions,
    ) -> Result<Group, Error> {
        let operation = "joining the group";
        if rank >= size {
            let message =
                format!("expected a rank below {size}, the size of the group, found {rank}");
            return Err(Error::new(operation, Failure::Other, &message));
        }
        let joined = format!("snaphook/c10d/joined/{rank}");
        if store.has(&joined)? {
            let message = "expected a store, or a prefix in it, of its own for each group, found one at which this rank has \
                           joined before (see Store::with_prefix)";
            return Err(Error::new(operation, Failure::Other, message).at(rank, size));
        }
        let address = text(options.address.as_deref().unwrap_or(""), operation)?;
        let interface = text(options.interface.as_deref().unwrap_or(""), operation)?;
        let mut handle = null_mut();
        // SAFETY: all arguments live during the call, `handle` is written before success is returned.
        let code = unsafe {
            ffi::snaphook_c10d_group_gloo(
                store.handle(),
                rank as c_int,
                size as c_int,
                address.as_ptr(),
                interface.as_ptr(),
                options.checks,
                milliseconds(options.timeout),
                &mut handle,
            )
        };
        check(code, operation).map_err(|error| error.at(rank, size))?;
        let group = Group {
            inner: Rc::new(Inner {
                handle,
                rank,
                size,
                store: store.clone(),
                timeout: Cell::new(options.timeout),
                is_broken: Cell::new(false),
                broken_by: RefCell::new(None),
                is_closed: Cell::new(false),
                failure: RefCell::new(None),
                synchronizes_norms: Cell::new(false),
                has_nccl: Cell::new(false),
                peers: OnceCell::new(),
            }),
        };
        store.set(&joined, b"")?;
        if !options.with_pytorch && size > 1 {
            let peers = Peers::tell(&group)?;
            group.inner.peers.get_or_init(|| peers);
        }
        Ok(group)
    }

    /// From now on collectives on tensors of GPUs go over NCCL, and those on the CPU over Gloo as before. `device` is the
    /// GPU that this rank alone uses, and becomes the thread's current one. The ranks' GPUs meet at their first collective.
    ///
    /// libtorch's part for GPUs, `libtorch_cuda.so`, is opened if it is not open: it must lie beside libtorch's other
    /// libraries and be of the same build.
    ///
    /// Errors: there is no such part, it is of another version or has no NCCL, there is no such GPU.
    pub fn add_nccl(&self, device: usize) -> Result<(), Error> {
        // SAFETY: group and store live during the call.
        let code = unsafe {
            ffi::snaphook_c10d_group_add_nccl(
                self.handle(),
                self.inner.store.handle(),
                device as c_int,
                milliseconds(self.inner.timeout.get()),
            )
        };
        self.checked(check(code, "adding NCCL"))?;
        self.inner.has_nccl.set(true);
        Ok(())
    }

    /// Whether GPUs talk in this group: [`Group::add_nccl`] went well.
    pub fn has_nccl(&self) -> bool {
        self.inner.has_nccl.get()
    }

    /// This process' number, from 0.
    pub fn rank(&self) -> usize {
        self.inner.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.inner.size
    }

    /// The store that the ranks met at.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Whether a collective has failed.
    pub fn is_broken(&self) -> bool {
        self.inner.is_broken.get()
    }

    /// The first failure of a collective that other ranks took part in, or should have.
    pub fn broken_by(&self) -> Option<Error> {
        self.inner.broken_by.borrow().clone()
    }

    /// Gives the group up: nothing waits for what is still queued when it is dropped. For a process that ends because
    /// something failed.
    pub fn give_up(&self) {
        self.inner.is_broken.set(true);
    }

    /// The first failure that nobody could be given at once, such as one in the forward pass of a layer.
    pub fn failure(&self) -> Option<Error> {
        self.inner.failure.borrow().clone()
    }

    pub(crate) fn remember(&self, error: Error) {
        self.inner.failure.borrow_mut().get_or_insert(error);
    }

    /// From now on all batch norms of models that train in this group have the statistics of all ranks, whatever they
    /// are called; what MMEngine's `sync_bn='torch'` does.
    pub fn synchronize_norms(&self) {
        self.inner.synchronizes_norms.set(true);
    }

    /// Whether they have.
    pub fn synchronizes_norms(&self) -> bool {
        self.inner.synchronizes_norms.get()
    }

    /// Closes the connections now, so that ranks that wait for this one hear of it; every later collective of this rank
    /// is an error. For a rank that has failed by itself, or lost another one.
    pub fn close(&self) {
        self.give_up();
        if !self.inner.is_closed.replace(true) {
            // SAFETY: the handle stays, and is empty from now on: the shim refuses it.
            unsafe { ffi::snaphook_c10d_group_close(self.inner.handle) }
        }
    }

    /// Whether collectives between GPUs went well until now. They go on while this process does something else, so that one
    /// to which another rank does not come shows here: after the timeout and five seconds more it is given up, and what waited
    /// for the GPU goes on with values of no use. Look here before such values are kept.
    ///
    /// Errors: one has failed, or the group is closed. The group is of no use then.
    pub fn check(&self) -> Result<(), Error> {
        // SAFETY: the group lives.
        let code = unsafe { ffi::snaphook_c10d_group_check(self.handle()) };
        self.checked(check(code, "collectives of GPUs"))
    }

    pub(crate) fn handle(&self) -> *const ffi::GroupHandle {
        self.inner.handle
    }

    pub(crate) fn checked<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| {
            let error = error.at(self.rank(), self.size());
            if error.failure() == Failure::Other {
                return error;
            }
            self.give_up();
            let peers = self.peer_of(&error).into_iter().collect();
            let error = error.with_peers(peers);
            self.inner.broken_by.borrow_mut().get_or_insert(error).clone()
        })
    }

    /// The rank at the other end of a connection that broke, if it is known.
    fn peer_of(&self, error: &Error) -> Option<usize> {
        let named = self.inner.peers.get().and_then(|peers| peers.rank_in(error.message()));
        let is_pair = self.size() == 2 && error.failure() == Failure::Connection;
        named.or(is_pair.then_some(1 - self.rank().min(1)))
    }

    /// As [`Group::checked`], with the time that it took where it fails.
    pub(crate) fn timed<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let began = Instant::now();
        self.checked(act().map_err(|error| error.after(began.elapsed())))
    }

    /// How long collectives wait for other ranks.
    pub fn timeout(&self) -> Duration {
        self.inner.timeout.get()
    }

    /// Sets how long collectives from now on wait for other ranks; more than ten years are ten years.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        // SAFETY: the group lives.
        let code =
            unsafe { ffi::snaphook_c10d_group_set_timeout(self.handle(), milliseconds(timeout)) };
        self.checked(check(code, "setting the timeout"))?;
        self.inner.timeout.set(timeout);
        Ok(())
    }

    /// Gloo takes as many elements from the first one on as the tensor has, whatever its strides say.
    pub(crate) fn check_contiguous(
        &self,
        tensor: &Tensor,
        operation: &'static str,
    ) -> Result<(), Error> {
        if tensor.is_contiguous() {
            return Ok(());
        }
        let (size, strides) = (tensor.size(), tensor.stride());
        let message =
            format!("expected a contiguous tensor, found {size:?} with strides {strides:?}");
        self.checked(Err(Error::new(operation, Failure::Other, &message)))
    }

    pub(crate) fn start(
        &self,
        operation: &'static str,
        begin: impl FnOnce(*const ffi::GroupHandle, *mut *mut ffi::WorkHandle) -> c_int,
    ) -> Result<Work, Error> {
        let mut work = null_mut();
        let code = begin(self.handle(), &mut work);
        self.checked(check(code, operation))?;
        Ok(Work::new(work, self, operation))
    }

    /// What is wrong with a tensor for this operation.
    pub(crate) fn check_reducible(
        &self,
        tensor: &Tensor,
        op: ReduceOp,
        operation: &'static str,
    ) -> Result<(), Error> {
        self.check_contiguous(tensor, operation)?;
        let refusal = op.refusal(tensor).map(|words| Error::new(operation, Failure::Other, &words));
        self.checked(refusal.map_or(Ok(()), Err))
    }

    /// Makes the tensor of each rank the sum, mean, … of all.
    ///
    /// Shapes and kinds: the same on all ranks, see [`Group`]; contiguous.
    ///
    /// Errors: a rank that does not come in time or is gone; a tensor that is not contiguous, or of a kind that the backend
    /// does not know; a mean of whole numbers.
    pub fn all_reduce(&self, tensor: &mut Tensor, op: ReduceOp) -> Result<(), Error> {
        self.start_all_reduce(tensor, op)?.wait()
    }

    /// As [`Group::all_reduce`], in the background.
    ///
    /// Errors: as there.
    pub fn start_all_reduce(&self, tensor: &Tensor, op: ReduceOp) -> Result<Work, Error> {
        self.check_reducible(tensor, op, "all-reduce")?;
        let (pointer, device) = (tensor.as_ptr().cast_mut(), tensor.device());
        let work = self.start("all-reduce", |group, out| {
            // SAFETY: group and tensor live during the call; what goes on after it holds the tensor by itself.
            unsafe { ffi::snaphook_c10d_all_reduce(group, pointer, op.code(device), out) }
        })?;
        Ok(match op.is_divided_after(device) {
            true => work.divided(tensor.shallow_clone()),
            false => work,
        })
    }

    /// Gives every rank the values of `root`'s tensor.
    ///
    /// Shapes and kinds: the same on all ranks, see [`Group`]; contiguous. Errors: as [`Group::all_reduce`].
    pub fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), Error> {
        self.start_broadcast(tensor, root)?.wait()
    }

    /// As [`Group::broadcast`], in the background.
    ///
    /// Errors: as there.
    pub fn start_broadcast(&self, tensor: &Tensor, root: usize) -> Result<Work, Error> {
        self.check_contiguous(tensor, "broadcast")?;
        let pointer = tensor.as_ptr().cast_mut();
        self.start("broadcast", |group, out| {
            // SAFETY: as for all-reduce.
            unsafe { ffi::snaphook_c10d_broadcast(group, pointer, root as c_int, out) }
        })
    }

    /// Gives every rank the values of many tensors of `root`, packed into large messages.
    ///
    /// Shapes and kinds: the same on all ranks. Errors: as [`Group::all_reduce`].
    pub fn broadcast_all(&self, tensors: &[Tensor], root: usize) -> Result<(), Error> {
        const BUFFER_BYTES: usize = 250 << 20;
        if tensors.is_empty() {
            return Ok(());
        }
        let pointers = pointers(tensors);
        // SAFETY: group and tensors live during the call, which waits for the end.
        let broadcast = || unsafe {
            ffi::snaphook_c10d_broadcast_coalesced(
                self.handle(),
                pointers.as_ptr(),
                pointers.len(),
                BUFFER_BYTES,
                root as c_int,
            )
        };
        self.timed(|| check(broadcast(), "broadcast"))
    }

    /// The tensors of all ranks, by rank.
    ///
    /// Shapes and kinds: the same on all ranks, see [`Group`]; contiguous. Errors: as [`Group::all_reduce`].
    pub fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, Error> {
        let (outputs, work) = self.start_all_gather(tensor)?;
        work.wait().map(|()| outputs)
    }

    /// As [`Group::all_gather`], in the background: the tensors have their values after the wait.
    ///
    /// Errors: as there.
    pub fn start_all_gather(&self, tensor: &Tensor) -> Result<(Vec<Tensor>, Work), Error> {
        self.check_contiguous(tensor, "all-gather")?;
        let outputs = self.places_for(tensor);
        let (pointers, input) = (pointers(&outputs), tensor.as_ptr().cast_mut());
        let work = self.start("all-gather", |group, out| {
            // SAFETY: as for all-reduce.
            unsafe {
                ffi::snaphook_c10d_all_gather(group, pointers.as_ptr(), pointers.len(), input, out)
            }
        })?;
        Ok((outputs, work))
    }

    /// The tensors of all ranks by rank, on `root` alone.
    ///
    /// Shapes and kinds: the same on all ranks, see [`Group`]; contiguous. Errors: as [`Group::all_reduce`].
    pub fn gather(&self, tensor: &Tensor, root: usize) -> Result<Option<Vec<Tensor>>, Error> {
        self.check_contiguous(tensor, "gather")?;
        let is_root = self.rank() == root;
        let outputs = if is_root { self.places_for(tensor) } else { Vec::new() };
        let (pointers, input) = (pointers(&outputs), tensor.as_ptr().cast_mut());
        let work = self.start("gather", |group, out| {
            let (places, count) = (pointers.as_ptr(), pointers.len());
            // SAFETY: as for all-reduce.
            unsafe { ffi::snaphook_c10d_gather(group, places, count, input, root as c_int, out) }
        })?;
        work.wait()?;
        Ok(is_root.then_some(outputs))
    }

    fn places_for(&self, tensor: &Tensor) -> Vec<Tensor> {
        (0..self.size()).map(|_| no_grad(|| tensor.empty_like())).collect()
    }

    /// Waits until every rank is here.
    ///
    /// Errors: a rank that does not come in time or is gone.
    pub fn barrier(&self) -> Result<(), Error> {
        self.start_barrier()?.wait()
    }

    /// As [`Group::barrier`], in the background: over when every rank has begun it.
    ///
    /// Errors: as there.
    pub fn start_barrier(&self) -> Result<Work, Error> {
        self.start("barrier", |group, out| {
            // SAFETY: the group lives during the call.
            unsafe { ffi::snaphook_c10d_barrier(group, out) }
        })
    }
}
