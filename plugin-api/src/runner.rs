//! What a hook sees of the run. Knows nothing of libtorch, and not whether the host is in the same file.

use crate::abi::{
    self, status, HostTable, LogTable, ProgressTable, ScalarsTable, ServicesTable, Sink,
    TensorsTable, Text,
};
use crate::host::{LogLevel, Progress, ServiceError, Statistic, TensorHandle};
use serde_json::Value as Json;
use std::ffi::c_void;
use std::marker::PhantomData;

/// What runs at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing yet, or nothing any more.
    Idle,
    /// The training loop.
    Train,
    /// A validation.
    Val,
    /// A test.
    Test,
}

/// The extension tables of a host, each looked up once by its id.
#[derive(Clone, Copy)]
pub(crate) struct HostTables {
    pub(crate) progress: Option<&'static ProgressTable>,
    pub(crate) log: Option<&'static LogTable>,
    pub(crate) scalars: Option<&'static ScalarsTable>,
    pub(crate) tensors: Option<&'static TensorsTable>,
    pub(crate) services: Option<&'static ServicesTable>,
    /// The same without texts in between, for hooks that are compiled into the host.
    pub(crate) direct: Option<&'static Direct>,
}

/// What a hook in the host's own file can call without writing JSON out and reading it in again.
pub(crate) struct Direct {
    /// As `ServicesTable::call`; the pointer is what the tables' functions expect.
    pub(crate) call: unsafe fn(*mut c_void, &str, &str, &Json) -> Result<Json, ServiceError>,
    /// As `TensorsTable::output_names`.
    pub(crate) output_names: unsafe fn(*mut c_void) -> Vec<String>,
}

impl HostTables {
    /// A host without any extension.
    pub(crate) const NONE: HostTables = HostTables {
        progress: None,
        log: None,
        scalars: None,
        tensors: None,
        services: None,
        direct: None,
    };

    /// Looks the extensions of a host up.
    ///
    /// # Safety
    /// Each pointer that `host` answers must be null or the table that its id promises, for the rest of
    /// the process.
    pub(crate) unsafe fn of(host: &HostTable) -> HostTables {
        // SAFETY: the caller's promise.
        unsafe {
            HostTables {
                progress: (host.extension)(Text::new(abi::PROGRESS))
                    .cast::<ProgressTable>()
                    .as_ref(),
                log: (host.extension)(Text::new(abi::LOG)).cast::<LogTable>().as_ref(),
                scalars: (host.extension)(Text::new(abi::SCALARS)).cast::<ScalarsTable>().as_ref(),
                tensors: (host.extension)(Text::new(abi::TENSORS)).cast::<TensorsTable>().as_ref(),
                services: (host.extension)(Text::new(abi::SERVICES))
                    .cast::<ServicesTable>()
                    .as_ref(),
                direct: None,
            }
        }
    }
}

/// The host of the running call. Neither `Send` nor `Sync`: a host answers on the thread that it called.
#[derive(Clone, Copy)]
pub(crate) struct HostRef<'call> {
    tables: &'call HostTables,
    context: *mut c_void,
    call: PhantomData<&'call mut ()>,
}

fn missing(what: &str) -> ServiceError {
    ServiceError::Unsupported(what.to_owned())
}

fn answer(code: u32, text: String) -> Result<String, ServiceError> {
    match code {
        status::OK | status::NONE => Ok(text),
        status::UNSUPPORTED => Err(ServiceError::Unsupported(text)),
        status::PANICKED => Err(ServiceError::Failed(format!("the host panicked: {text}"))),
        _ => Err(ServiceError::Failed(text)),
    }
}

impl<'call> HostRef<'call> {
    /// # Safety
    /// `context` must be what the functions of `tables` expect, during all of `'call`.
    pub(crate) unsafe fn new(tables: &'call HostTables, context: *mut c_void) -> HostRef<'call> {
        HostRef { tables, context, call: PhantomData }
    }

    pub(crate) fn progress(self) -> Progress {
        let mut out = Progress::default();
        if let Some(table) = self.tables.progress {
            // SAFETY: `new` promised that the context fits the tables; `out` is ours.
            unsafe { (table.read)(self.context, &mut out) }
        }
        out
    }

    pub(crate) fn log_level(self) -> u32 {
        // SAFETY: as in `progress`.
        self.tables.log.map_or(0, |table| unsafe { (table.level)(self.context) })
    }

    pub(crate) fn log(self, level: LogLevel, target: &str, message: &str) {
        if let Some(table) = self.tables.log {
            let (target, message) = (Text::new(target), Text::new(message));
            // SAFETY: as in `progress`; the texts outlive the call.
            unsafe { (table.write)(self.context, level as u32, target, message) }
        }
    }

    pub(crate) fn scalar_add(self, key: &str, value: f64, count: u64) {
        if let Some(table) = self.tables.scalars {
            // SAFETY: as in `log`.
            unsafe { (table.add)(self.context, Text::new(key), value, count) }
        }
    }

    pub(crate) fn scalar_add_tensor(self, key: &str, tensor: TensorHandle) {
        if let Some(table) = self.tables.scalars {
            // SAFETY: as in `log`.
            unsafe { (table.add_tensor)(self.context, Text::new(key), tensor.id) }
        }
    }

    pub(crate) fn scalar_read(self, key: &str, statistic: Statistic, window: u64) -> Option<f64> {
        let table = self.tables.scalars?;
        let (key, mut out) = (Text::new(key), 0.0);
        // SAFETY: as in `log`; `out` is ours.
        let code = unsafe { (table.read)(self.context, key, statistic as u32, window, &mut out) };
        (code == status::OK).then_some(out)
    }

    pub(crate) fn learning_rate(self) -> Option<f64> {
        let mut out = 0.0;
        // SAFETY: as in `progress`.
        let code = unsafe { (self.tables.scalars?.learning_rate)(self.context, &mut out) };
        (code == status::OK).then_some(out)
    }

    pub(crate) fn output(self, name: &str) -> Option<TensorHandle> {
        // SAFETY: as in `log`.
        let id = unsafe { (self.tables.tensors?.output)(self.context, Text::new(name)) };
        (id != 0).then_some(TensorHandle { id })
    }

    pub(crate) fn output_names(self) -> Vec<String> {
        if let Some(direct) = self.tables.direct {
            // SAFETY: as in `progress`.
            return unsafe { (direct.output_names)(self.context) };
        }
        let Some(table) = self.tables.tensors else { return Vec::new() };
        let mut names = String::new();
        // SAFETY: as in `progress`; the sink's string is ours.
        unsafe { (table.output_names)(self.context, Sink::to(&mut names)) };
        let names: Json = serde_json::from_str(&names).unwrap_or_default();
        let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn tensor_item(self, tensor: TensorHandle) -> Result<f64, ServiceError> {
        let table = self.tables.tensors.ok_or_else(|| missing(abi::TENSORS))?;
        let (mut out, mut why) = (0.0, String::new());
        // SAFETY: as in `output_names`.
        let code = unsafe { (table.item)(self.context, tensor.id, &mut out, Sink::to(&mut why)) };
        answer(code, why).map(|_| out)
    }

    pub(crate) fn tensor_all_finite(self, tensor: TensorHandle) -> Result<bool, ServiceError> {
        let table = self.tables.tensors.ok_or_else(|| missing(abi::TENSORS))?;
        let (mut out, mut why) = (0, String::new());
        // SAFETY: as in `output_names`.
        let code =
            unsafe { (table.all_finite)(self.context, tensor.id, &mut out, Sink::to(&mut why)) };
        answer(code, why).map(|_| out != 0)
    }

    pub(crate) fn payload(self, point: u32) -> Result<Json, ServiceError> {
        let table = self.tables.services.ok_or_else(|| missing(abi::SERVICES))?;
        let mut text = String::new();
        // SAFETY: as in `output_names`.
        let code = unsafe { (table.payload)(self.context, point, Sink::to(&mut text)) };
        parse(&answer(code, text)?, "the payload of a hook point")
    }

    pub(crate) fn call(
        self,
        service: &str,
        method: &str,
        arguments: &Json,
    ) -> Result<Json, ServiceError> {
        if let Some(direct) = self.tables.direct {
            // SAFETY: as in `progress`.
            return unsafe { (direct.call)(self.context, service, method, arguments) };
        }
        let table = self.tables.services.ok_or_else(|| missing(abi::SERVICES))?;
        let (arguments, mut text) = (arguments.to_string(), String::new());
        // SAFETY: as in `output_names`; the texts outlive the call.
        let code = unsafe {
            (table.call)(
                self.context,
                Text::new(service),
                Text::new(method),
                Text::new(&arguments),
                Sink::to(&mut text),
            )
        };
        parse(&answer(code, text)?, method)
    }
}

fn parse(text: &str, what: &str) -> Result<Json, ServiceError> {
    if text.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_str(text).map_err(|error| {
        ServiceError::Failed(format!(
            "answer of {what}: expected JSON, found something else ({error})"
        ))
    })
}

/// The run as a hook sees it, during one call.
///
/// Counters have MMEngine's names and meaning. Everything else is grouped: [`Runner::messages`],
/// [`Runner::model`], [`Runner::optimizer`] and so on.
pub struct Runner<'call> {
    pub(crate) host: HostRef<'call>,
    pub(crate) target: &'call str,
}

impl<'call> Runner<'call> {
    pub(crate) fn new(host: HostRef<'call>, target: &'call str) -> Runner<'call> {
        Runner { host, target }
    }

    /// Epochs finished, as seen at this point.
    pub fn epoch(&self) -> u64 {
        self.host.progress().epoch
    }

    /// Training iterations finished, as seen at this point.
    pub fn iter(&self) -> u64 {
        self.host.progress().iter
    }

    /// Epochs of the whole run; 0 without a training loop.
    pub fn max_epochs(&self) -> u64 {
        self.host.progress().max_epochs
    }

    /// Training iterations of the whole run; 0 without a training loop.
    pub fn max_iters(&self) -> u64 {
        self.host.progress().max_iters
    }

    /// Batches in an epoch of the loop that runs now.
    pub fn epoch_length(&self) -> u64 {
        self.host.progress().epoch_length
    }

    /// All counters at once, for the price of one.
    pub fn progress(&self) -> Progress {
        self.host.progress()
    }

    /// What runs now.
    pub fn stage(&self) -> Stage {
        match self.host.progress().stage {
            1 => Stage::Train,
            2 => Stage::Val,
            3 => Stage::Test,
            _ => Stage::Idle,
        }
    }

    /// Whether the training loop counts epochs; otherwise it counts iterations only.
    pub fn is_by_epoch(&self) -> bool {
        self.host.progress().by_epoch != 0
    }

    /// Whether the epoch that runs is an `n`-th one; never for `n` 0.
    ///
    /// Source: `mmengine/hooks/hook.py`, `every_n_epochs`.
    pub fn every_n_epochs(&self, n: u64) -> bool {
        self.every_n_epochs_from(n, 0)
    }

    /// As [`Runner::every_n_epochs`], counted from epoch `start`.
    pub fn every_n_epochs_from(&self, n: u64, start: u64) -> bool {
        is_every(self.epoch(), n, start)
    }

    /// Whether the training iteration that runs is an `n`-th one; never for `n` 0.
    /// Before the iteration is counted, that is not in `after_train_epoch`.
    pub fn every_n_train_iters(&self, n: u64) -> bool {
        self.every_n_train_iters_from(n, 0)
    }

    /// As [`Runner::every_n_train_iters`], counted from iteration `start`.
    pub fn every_n_train_iters_from(&self, n: u64, start: u64) -> bool {
        is_every(self.iter(), n, start)
    }

    /// Whether the batch is an `n`-th one of its epoch; never for `n` 0.
    pub fn every_n_inner_iters(&self, batch_idx: u64, n: u64) -> bool {
        n > 0 && (batch_idx + 1) % n == 0
    }

    /// Whether the batch is the last one of its epoch.
    pub fn end_of_epoch(&self, batch_idx: u64) -> bool {
        batch_idx + 1 == self.epoch_length()
    }

    /// Whether the epoch that runs is the last one.
    pub fn is_last_train_epoch(&self) -> bool {
        let progress = self.host.progress();
        progress.epoch + 1 == progress.max_epochs
    }

    /// Whether the training iteration that runs is the last one.
    pub fn is_last_train_iter(&self) -> bool {
        let progress = self.host.progress();
        progress.iter + 1 == progress.max_iters
    }

    /// Whether records of this level are written.
    pub fn log_enabled(&self, level: LogLevel) -> bool {
        level as u32 <= self.host.log_level()
    }

    /// Writes one record to the run's log, under the hook's name.
    pub fn log(&self, level: LogLevel, message: &str) {
        if self.log_enabled(level) {
            self.host.log(level, self.target, message);
        }
    }

    /// Logs something that went wrong.
    pub fn error(&self, message: &str) {
        self.log(LogLevel::Error, message);
    }

    /// Logs something that somebody should look at.
    pub fn warn(&self, message: &str) {
        self.log(LogLevel::Warn, message);
    }

    /// Logs something worth knowing.
    pub fn info(&self, message: &str) {
        self.log(LogLevel::Info, message);
    }

    /// Logs something for whoever looks for a fault.
    pub fn debug(&self, message: &str) {
        self.log(LogLevel::Debug, message);
    }

    /// The learning rate of the first parameter group; `None` without an optimizer.
    pub fn learning_rate(&self) -> Option<f64> {
        self.host.learning_rate()
    }

    /// Calls a method of a host service by name, for what has no method here.
    ///
    /// Errors: [`ServiceError::Unsupported`] when this host does not have it, [`ServiceError::Failed`]
    /// when it has and could not.
    pub fn call(
        &mut self,
        service: &str,
        method: &str,
        arguments: Json,
    ) -> Result<Json, ServiceError> {
        self.host.call(service, method, &arguments)
    }
}

/// MMEngine's rule: the moment itself counts, also right at `start`.
fn is_every(finished: u64, n: u64, start: u64) -> bool {
    n > 0 && finished + 1 >= start && (finished + 1 - start) % n == 0
}

#[cfg(test)]
mod tests {
    use super::is_every;

    #[test]
    fn every_n_counts_the_running_one_and_the_start() {
        let due: Vec<u64> = (0..6).filter(|finished| is_every(*finished, 2, 0)).collect();
        assert_eq!(due, [1, 3, 5]);
        assert!(is_every(2, 2, 3));
        assert!(!is_every(1, 2, 3));
        assert!(!is_every(5, 0, 0));
    }
}
