//! The functions of `cpp/shim.cpp`. Each returns 0, or a kind of failure whose text `last_words` has.

use std::os::raw::{c_char, c_int};

use torch_sys::C_tensor;

/// A store behind libtorch's counted pointer.
#[repr(C)]
pub(crate) struct StoreHandle {
    _private: [u8; 0],
}

/// A process group behind libtorch's counted pointer.
#[repr(C)]
pub(crate) struct GroupHandle {
    _private: [u8; 0],
}

/// A collective that goes on, behind libtorch's counted pointer.
#[repr(C)]
pub(crate) struct WorkHandle {
    _private: [u8; 0],
}

/// A reducer behind a shared pointer.
#[repr(C)]
pub(crate) struct ReducerHandle {
    _private: [u8; 0],
}

/// Bytes that the shim has allocated.
#[repr(C)]
pub(crate) struct Bytes {
    pub(crate) data: *mut u8,
    pub(crate) length: usize,
}

/// libtorch's `at::Tensor*`, as tch holds it.
pub(crate) type TensorPointer = *mut C_tensor;

unsafe extern "C" {
    pub(crate) fn snaphook_c10d_last_words() -> *const c_char;

    pub(crate) fn snaphook_c10d_store_tcp(
        host: *const c_char,
        port: u16,
        is_server: bool,
        workers: i64,
        waits: bool,
        timeout_ms: i64,
        out: *mut *mut StoreHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_file(
        path: *const c_char,
        workers: i64,
        timeout_ms: i64,
        out: *mut *mut StoreHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_prefix(
        prefix: *const c_char,
        store: *const StoreHandle,
        out: *mut *mut StoreHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_free(store: *mut StoreHandle);
    pub(crate) fn snaphook_c10d_store_port(store: *const StoreHandle, out: *mut u16) -> c_int;
    pub(crate) fn snaphook_c10d_store_set(
        store: *const StoreHandle,
        key: *const c_char,
        data: *const u8,
        length: usize,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_get(
        store: *const StoreHandle,
        key: *const c_char,
        out: *mut Bytes,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_bytes_free(bytes: Bytes);
    pub(crate) fn snaphook_c10d_store_add(
        store: *const StoreHandle,
        key: *const c_char,
        amount: i64,
        out: *mut i64,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_has(
        store: *const StoreHandle,
        key: *const c_char,
        out: *mut bool,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_delete(
        store: *const StoreHandle,
        key: *const c_char,
        out: *mut bool,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_store_wait(
        store: *const StoreHandle,
        key: *const c_char,
        timeout_ms: i64,
    ) -> c_int;

    pub(crate) fn snaphook_c10d_group_gloo(
        store: *const StoreHandle,
        rank: c_int,
        size: c_int,
        address: *const c_char,
        interface: *const c_char,
        checks: bool,
        timeout_ms: i64,
        out: *mut *mut GroupHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_group_add_nccl(
        group: *const GroupHandle,
        store: *const StoreHandle,
        device: c_int,
        timeout_ms: i64,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_group_free(group: *mut GroupHandle);
    pub(crate) fn snaphook_c10d_group_close(group: *mut GroupHandle);
    pub(crate) fn snaphook_c10d_group_check(group: *const GroupHandle) -> c_int;
    pub(crate) fn snaphook_c10d_group_set_timeout(
        group: *const GroupHandle,
        timeout_ms: i64,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_all_reduce(
        group: *const GroupHandle,
        tensor: TensorPointer,
        op: u8,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_broadcast(
        group: *const GroupHandle,
        tensor: TensorPointer,
        root: c_int,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_broadcast_coalesced(
        group: *const GroupHandle,
        tensors: *const TensorPointer,
        count: usize,
        buffer_bytes: usize,
        root: c_int,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_all_gather(
        group: *const GroupHandle,
        outputs: *const TensorPointer,
        count: usize,
        input: TensorPointer,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_gather(
        group: *const GroupHandle,
        outputs: *const TensorPointer,
        count: usize,
        input: TensorPointer,
        root: c_int,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_reduce_scatter(
        group: *const GroupHandle,
        output: TensorPointer,
        inputs: *const TensorPointer,
        count: usize,
        op: u8,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_all_to_all(
        group: *const GroupHandle,
        output: TensorPointer,
        input: TensorPointer,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_barrier(
        group: *const GroupHandle,
        out: *mut *mut WorkHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_work_wait(work: *const WorkHandle, timeout_ms: i64) -> c_int;
    pub(crate) fn snaphook_c10d_work_is_completed(work: *const WorkHandle) -> bool;
    pub(crate) fn snaphook_c10d_work_free(work: *mut WorkHandle);

    pub(crate) fn snaphook_c10d_reducer_new(
        parameters: *const TensorPointer,
        names: *const *const c_char,
        count: usize,
        group: *const GroupHandle,
        bucket_bytes: i64,
        first_bucket_bytes: i64,
        finds_unused: bool,
        keeps_buckets: bool,
        verifies: bool,
        out: *mut *mut ReducerHandle,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_reducer_free(reducer: *mut ReducerHandle);
    pub(crate) fn snaphook_c10d_reducer_prepare_forward(reducer: *const ReducerHandle) -> c_int;
    pub(crate) fn snaphook_c10d_reducer_prepare_backward(
        reducer: *const ReducerHandle,
        outputs: *const TensorPointer,
        count: usize,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_reducer_left_out(
        reducer: *const ReducerHandle,
        is_over: bool,
        indices: *mut usize,
        count: *mut usize,
    ) -> c_int;
    pub(crate) fn snaphook_c10d_backward(loss: TensorPointer) -> c_int;

    pub(crate) fn snaphook_c10d_sync_batch_norm(
        input: TensorPointer,
        weight: TensorPointer,
        bias: TensorPointer,
        running_mean: TensorPointer,
        running_variance: TensorPointer,
        momentum: f64,
        eps: f64,
        group: *const GroupHandle,
        out: *mut TensorPointer,
    ) -> c_int;
}
