//! The extensions of a host that are called often, as tables of C functions. Every function takes the
//! `host` pointer of the running call first. Knows nothing of who implements them.

use super::{Sink, Text};
use crate::host::Progress;
use std::ffi::c_void;

/// Id of [`ProgressTable`].
pub const PROGRESS: &str = "snaphook.progress/1";
/// Id of [`LogTable`].
pub const LOG: &str = "snaphook.log/1";
/// Id of [`ScalarsTable`].
pub const SCALARS: &str = "snaphook.scalars/1";
/// Id of [`TensorsTable`].
pub const TENSORS: &str = "snaphook.tensors/1";
/// Id of [`ServicesTable`].
pub const SERVICES: &str = "snaphook.services/1";

/// Counters of the run.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ProgressTable {
    /// Writes the counters of this moment to `out`.
    pub read: unsafe extern "C" fn(host: *mut c_void, out: *mut Progress),
}

/// The run's log. `host` may be null: outside of a call, as from a thread of the plugin.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct LogTable {
    /// The most verbose level that is written, as [`crate::host::LogLevel`]; 0 for none.
    pub level: unsafe extern "C" fn(host: *mut c_void) -> u32,
    /// Writes one record.
    pub write: unsafe extern "C" fn(host: *mut c_void, level: u32, target: Text, message: Text),
}

/// Scalars with history.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ScalarsTable {
    /// Appends a value that is the sum over `count` things.
    pub add: unsafe extern "C" fn(host: *mut c_void, key: Text, value: f64, count: u64),
    /// Appends the element of a tensor, read when somebody reads the history.
    pub add_tensor: unsafe extern "C" fn(host: *mut c_void, key: Text, tensor: u64),
    /// Writes a [`crate::host::Statistic`] over the last `window` entries to `out`; status OK or NONE.
    pub read: unsafe extern "C" fn(
        host: *mut c_void,
        key: Text,
        statistic: u32,
        window: u64,
        out: *mut f64,
    ) -> u32,
    /// Writes the learning rate of the first group to `out`; status OK or NONE.
    pub learning_rate: unsafe extern "C" fn(host: *mut c_void, out: *mut f64) -> u32,
}

/// Tensors of the host, by handles that are valid during the call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct TensorsTable {
    /// The handle of an output of the training step, 0 when there is none of that name.
    pub output: unsafe extern "C" fn(host: *mut c_void, name: Text) -> u64,
    /// Puts the names of the outputs as a JSON array of strings; status.
    pub output_names: unsafe extern "C" fn(host: *mut c_void, names: Sink) -> u32,
    /// Writes the value of a tensor of one element; status.
    pub item: unsafe extern "C" fn(host: *mut c_void, tensor: u64, out: *mut f64, why: Sink) -> u32,
    /// Writes 1 when every element is finite, otherwise 0; status.
    pub all_finite:
        unsafe extern "C" fn(host: *mut c_void, tensor: u64, out: *mut u32, why: Sink) -> u32,
}

/// The services that speak JSON.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ServicesTable {
    /// Puts what the point carries as JSON; status.
    pub payload: unsafe extern "C" fn(host: *mut c_void, point: u32, answer: Sink) -> u32,
    /// Calls a method with a JSON object; puts the answer as JSON, or the reason as plain text; status.
    pub call: unsafe extern "C" fn(
        host: *mut c_void,
        service: Text,
        method: Text,
        arguments: Text,
        answer: Sink,
    ) -> u32,
}
