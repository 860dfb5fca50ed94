//! A [`Services`] behind the C tables: the host's end of the border. No panic leaves these functions.

use super::{LogLevel, Progress, ServiceError, Services, Statistic, TensorHandle};
use crate::abi::{
    status, HostTable, LogTable, ProgressTable, ScalarsTable, ServicesTable, Sink, TensorsTable,
    Text, API_VERSION,
};
use crate::runner::{Direct, HostRef, HostTables};
use crate::{HookPoint, Runner};
use serde_json::Value as Json;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The services of one call, as the `host` pointer of the C functions.
pub struct HostContext<'call> {
    services: &'call mut dyn Services,
}

impl<'call> HostContext<'call> {
    /// Lends `services` to one call.
    pub fn new(services: &'call mut dyn Services) -> HostContext<'call> {
        HostContext { services }
    }

    /// The pointer that goes over the border; valid while `self` is borrowed.
    pub fn as_pointer(&mut self) -> *mut c_void {
        (self as *mut HostContext<'call>).cast()
    }

    /// A runner for a hook that is compiled into this host.
    pub(crate) fn native_runner<'a>(&'a mut self, target: &'a str) -> Runner<'a> {
        self.runner(&NATIVE_TABLES, target)
    }

    fn runner<'a>(&'a mut self, tables: &'a HostTables, target: &'a str) -> Runner<'a> {
        // SAFETY: the pointer is a `HostContext`, as the functions of `tables` expect, borrowed for `'a`.
        Runner::new(unsafe { HostRef::new(tables, self.as_pointer()) }, target)
    }
}

/// The tables of this host, for hooks that are compiled into it.
static NATIVE_TABLES: HostTables = HostTables {
    progress: Some(&PROGRESS_TABLE),
    log: Some(&LOG_TABLE),
    scalars: Some(&SCALARS_TABLE),
    tensors: Some(&TENSORS_TABLE),
    services: Some(&SERVICES_TABLE),
    direct: Some(&Direct { call: direct_call, output_names: direct_output_names }),
};

/// # Safety
/// As [`with`].
unsafe fn direct_call(
    host: *mut c_void,
    service: &str,
    method: &str,
    arguments: &Json,
) -> Result<Json, ServiceError> {
    // SAFETY: the caller's promise.
    unsafe { with(host, |services| services.call(service, method, arguments.clone())) }
        .unwrap_or_else(|| Err(ServiceError::Failed("the host panicked: see its log".to_owned())))
}

/// # Safety
/// As [`with`].
unsafe fn direct_output_names(host: *mut c_void) -> Vec<String> {
    // SAFETY: the caller's promise.
    unsafe { with(host, |services| services.output_names()) }.unwrap_or_default()
}

/// The table of an extension id, or null for one that this host does not have.
pub fn extension(id: &str) -> *const c_void {
    match id {
        crate::abi::PROGRESS => (&PROGRESS_TABLE as *const ProgressTable).cast(),
        crate::abi::LOG => (&LOG_TABLE as *const LogTable).cast(),
        crate::abi::SCALARS => (&SCALARS_TABLE as *const ScalarsTable).cast(),
        crate::abi::TENSORS => (&TENSORS_TABLE as *const TensorsTable).cast(),
        crate::abi::SERVICES => (&SERVICES_TABLE as *const ServicesTable).cast(),
        _ => std::ptr::null(),
    }
}

/// What a plugin of this host is started with.
pub static HOST_TABLE: HostTable =
    HostTable { api_major: API_VERSION.0, api_minor: API_VERSION.1, extension: table_of };

unsafe extern "C" fn table_of(id: Text) -> *const c_void {
    // SAFETY: the plugin's text is valid during this call.
    extension(&unsafe { id.read() })
}

static PROGRESS_TABLE: ProgressTable = ProgressTable { read: progress_read };
static LOG_TABLE: LogTable = LogTable { level: log_level, write: log_write };
static SCALARS_TABLE: ScalarsTable = ScalarsTable {
    add: scalar_add,
    add_tensor: scalar_add_tensor,
    read: scalar_read,
    learning_rate,
};
static TENSORS_TABLE: TensorsTable = TensorsTable {
    output: tensor_output,
    output_names: tensor_output_names,
    item: tensor_item,
    all_finite: tensor_all_finite,
};
static SERVICES_TABLE: ServicesTable = ServicesTable { payload, call };

/// Runs `work` with the services behind `host`; `None` without a host or after a panic of the services.
///
/// # Safety
/// `host` must be null or come from [`HostContext::as_pointer`] of a context that waits for this call.
unsafe fn with<T>(host: *mut c_void, work: impl FnOnce(&mut dyn Services) -> T) -> Option<T> {
    if host.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; the context is borrowed by the call that is waiting.
    let context = unsafe { &mut *host.cast::<HostContext<'_>>() };
    catch_unwind(AssertUnwindSafe(|| work(&mut *context.services))).ok()
}

/// As [`with`], for work that answers with text.
///
/// # Safety
/// As [`with`]; `sink` must be alive.
unsafe fn answer(
    host: *mut c_void,
    sink: Sink,
    work: impl FnOnce(&mut dyn Services) -> Result<String, ServiceError>,
) -> u32 {
    // SAFETY: the caller's promises.
    let (code, text) = match unsafe { with(host, work) } {
        Some(Ok(text)) => (status::OK, text),
        Some(Err(ServiceError::Unsupported(what))) => (status::UNSUPPORTED, what),
        Some(Err(ServiceError::Failed(why))) => (status::FAILED, why),
        None => (status::PANICKED, "see the host's log".to_owned()),
    };
    // SAFETY: the caller's promise.
    unsafe { sink.put(&text) };
    code
}

unsafe extern "C" fn progress_read(host: *mut c_void, out: *mut Progress) {
    // SAFETY: the plugin passes on the pointer that it was called with, and an `out` of its own.
    unsafe {
        if let Some(progress) = with(host, |services| services.progress()) {
            *out = progress;
        }
    }
}

unsafe extern "C" fn log_level(host: *mut c_void) -> u32 {
    // SAFETY: as in `progress_read`.
    let level = unsafe { with(host, |services| services.log_level() as u32) };
    level.unwrap_or_else(super::log_sink::level)
}

unsafe extern "C" fn log_write(host: *mut c_void, level: u32, target: Text, message: Text) {
    // SAFETY: as in `progress_read`; the texts are valid during this call.
    unsafe {
        let level = LogLevel::from_number(level);
        let (target, message) = (target.read(), message.read());
        if host.is_null() {
            let _ = catch_unwind(|| super::log_sink::write(level, &target, &message));
        } else {
            with(host, |services| services.log(level, &target, &message));
        }
    }
}

unsafe extern "C" fn scalar_add(host: *mut c_void, key: Text, value: f64, count: u64) {
    // SAFETY: as in `log_write`.
    unsafe { with(host, |services| services.scalar_add(&key.read(), value, count)) };
}

unsafe extern "C" fn scalar_add_tensor(host: *mut c_void, key: Text, id: u64) {
    // SAFETY: as in `log_write`.
    unsafe { with(host, |services| services.scalar_add_tensor(&key.read(), TensorHandle { id })) };
}

unsafe extern "C" fn scalar_read(
    host: *mut c_void,
    key: Text,
    statistic: u32,
    window: u64,
    out: *mut f64,
) -> u32 {
    let Some(statistic) = Statistic::from_number(statistic) else { return status::UNSUPPORTED };
    // SAFETY: as in `log_write`, and an `out` of the plugin's own.
    unsafe { put(out, with(host, |services| services.scalar_read(&key.read(), statistic, window))) }
}

unsafe extern "C" fn learning_rate(host: *mut c_void, out: *mut f64) -> u32 {
    // SAFETY: as in `progress_read`.
    unsafe { put(out, with(host, |services| services.learning_rate())) }
}

/// # Safety
/// `out` must be valid for a write.
unsafe fn put(out: *mut f64, value: Option<Option<f64>>) -> u32 {
    match value {
        Some(Some(value)) => {
            // SAFETY: the caller's promise.
            unsafe { *out = value };
            status::OK
        }
        Some(None) => status::NONE,
        None => status::PANICKED,
    }
}

unsafe extern "C" fn tensor_output(host: *mut c_void, name: Text) -> u64 {
    // SAFETY: as in `log_write`.
    let handle = unsafe { with(host, |services| services.output(&name.read())) };
    handle.flatten().map_or(0, |handle| handle.id)
}

unsafe extern "C" fn tensor_output_names(host: *mut c_void, names: Sink) -> u32 {
    // SAFETY: as in `progress_read`; the sink is alive during this call.
    unsafe { answer(host, names, |services| Ok(Json::from(services.output_names()).to_string())) }
}

unsafe extern "C" fn tensor_item(host: *mut c_void, id: u64, out: *mut f64, why: Sink) -> u32 {
    // SAFETY: as in `tensor_output_names`, and an `out` of the plugin's own.
    unsafe {
        answer(host, why, |services| {
            *out = services.tensor_item(TensorHandle { id })?;
            Ok(String::new())
        })
    }
}

unsafe extern "C" fn tensor_all_finite(
    host: *mut c_void,
    id: u64,
    out: *mut u32,
    why: Sink,
) -> u32 {
    // SAFETY: as in `tensor_item`.
    unsafe {
        answer(host, why, |services| {
            *out = u32::from(services.tensor_all_finite(TensorHandle { id })?);
            Ok(String::new())
        })
    }
}

unsafe extern "C" fn payload(host: *mut c_void, point: u32, sink: Sink) -> u32 {
    let Some(point) = HookPoint::from_number(point) else { return status::UNSUPPORTED };
    // SAFETY: as in `tensor_output_names`.
    unsafe { answer(host, sink, |services| Ok(services.payload(point).to_string())) }
}

unsafe extern "C" fn call(
    host: *mut c_void,
    service: Text,
    method: Text,
    arguments: Text,
    sink: Sink,
) -> u32 {
    // SAFETY: as in `tensor_output_names`; the texts are valid during this call.
    unsafe {
        answer(host, sink, |services| {
            let arguments = serde_json::from_str(&arguments.read()).map_err(|error| {
                ServiceError::Failed(format!("arguments: expected JSON, found otherwise ({error})"))
            })?;
            services.call(&service.read(), &method.read(), arguments).map(|value| value.to_string())
        })
    }
}
