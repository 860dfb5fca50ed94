//! The host's side of the services: what a trainer implements so that hooks can reach it. Hook authors
//! do not need this module. Knows nothing of libtorch.

mod context;
mod instance;
mod log_sink;
mod printable;

pub use context::{extension, HostContext, HOST_TABLE};
pub use instance::{HookInstance, HookSource, NativeHook};
pub use log_sink::{log_level_number, set_log_level, set_log_sink, LogSink};
pub use printable::{is_obeyed, printable};

pub use crate::dispatch::HookType;
use crate::services::ids;
use crate::HookPoint;
use serde_json::Value as Json;
use std::fmt;

/// Ids of everything that this version of the contract lets a host offer: the tables of [`crate::abi`] and the
/// services that speak JSON. A plugin that needs another id is for a newer host.
pub const EXTENSIONS: [&str; 16] = [
    crate::abi::PROGRESS,
    crate::abi::LOG,
    crate::abi::SCALARS,
    crate::abi::TENSORS,
    crate::abi::SERVICES,
    ids::RUN,
    ids::MESSAGES,
    ids::MODEL,
    ids::OPTIMIZER,
    ids::SCHEDULE,
    ids::DATA,
    ids::CHECKPOINT,
    ids::CONTROL,
    ids::DISTRIBUTED,
    ids::VISUAL,
    ids::AVERAGING,
];

/// Counters and limits of the run, as MMEngine's `runner.epoch`, `runner.iter` and so on.
///
/// Units: `epoch`, `iter` count from 0 and are finished ones as seen at the point;
/// a maximum of 0 means that there is no training loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Progress {
    /// Epochs finished.
    pub epoch: u64,
    /// Training iterations finished.
    pub iter: u64,
    /// Epochs of the whole run.
    pub max_epochs: u64,
    /// Training iterations of the whole run.
    pub max_iters: u64,
    /// Batches of one epoch of the loop that runs now.
    pub epoch_length: u64,
    /// What runs now: 0 nothing yet, 1 training, 2 validation, 3 test.
    pub stage: u32,
    /// 1 when `epoch_length` batches make an epoch, 0 for a loop that counts iterations only.
    pub by_epoch: u32,
}

/// A tensor of the host, valid during the call in which it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TensorHandle {
    /// The host's own number; 0 never names a tensor.
    pub id: u64,
}

/// How the history of a scalar is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Statistic {
    Current = 0,
    Mean = 1,
    Min = 2,
    Max = 3,
}

impl Statistic {
    /// The statistic with this number, or `None` for one that a newer side knows.
    pub const fn from_number(number: u32) -> Option<Statistic> {
        match number {
            0 => Some(Statistic::Current),
            1 => Some(Statistic::Mean),
            2 => Some(Statistic::Min),
            3 => Some(Statistic::Max),
            _ => None,
        }
    }
}

/// Severity of a log record, the numbers of the `log` crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

impl LogLevel {
    /// The level with this number; 0 reads as the most severe, a larger one than known as the most verbose.
    pub const fn from_number(number: u32) -> LogLevel {
        match number {
            0 | 1 => LogLevel::Error,
            2 => LogLevel::Warn,
            3 => LogLevel::Info,
            4 => LogLevel::Debug,
            _ => LogLevel::Trace,
        }
    }
}

/// Why a service did not do what a hook asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// This host does not have the service or the method.
    Unsupported(String),
    /// The call was understood and failed; the text names the thing, expected and found.
    Failed(String),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Unsupported(what) => {
                write!(formatter, "{what}: not offered by this host (update the host)")
            }
            ServiceError::Failed(why) => formatter.write_str(why),
        }
    }
}

impl std::error::Error for ServiceError {}

/// What a host offers to hooks. One implementation is the trainer's, another is [`crate::testing::FakeRunner`].
///
/// Calls that happen every iteration are methods of their own; all others go through
/// [`Services::call`] as JSON, by the name of the service (an extension id such as `snaphook.model/1`)
/// and of its method. A method that is not known answers [`ServiceError::Unsupported`].
pub trait Services {
    /// Counters and limits, as they are at this moment.
    fn progress(&mut self) -> Progress;
    /// The most verbose level that is written.
    fn log_level(&mut self) -> LogLevel;
    /// Writes one record to the run's log; `target` names the hook.
    fn log(&mut self, level: LogLevel, target: &str, message: &str);
    /// Appends `value`, the sum over `count` things, to the history of the scalar `key` (`train/loss`).
    fn scalar_add(&mut self, key: &str, value: f64, count: u64);
    /// As [`Services::scalar_add`], for a tensor of one element that is read from its device only when
    /// somebody reads the history.
    fn scalar_add_tensor(&mut self, key: &str, tensor: TensorHandle);
    /// A statistic over the last `window` entries (0: all) of a scalar; `None` when it has no entry.
    fn scalar_read(&mut self, key: &str, statistic: Statistic, window: u64) -> Option<f64>;
    /// The output (`loss`, `loss_cls`, …) of the training step that just ended.
    fn output(&mut self, name: &str) -> Option<TensorHandle>;
    /// The names of all outputs of the training step that just ended, in the model's order.
    fn output_names(&mut self) -> Vec<String>;
    /// The value of a tensor of one element. Waits for the device.
    fn tensor_item(&mut self, tensor: TensorHandle) -> Result<f64, ServiceError>;
    /// Whether every element is finite. Waits for the device.
    fn tensor_all_finite(&mut self, tensor: TensorHandle) -> Result<bool, ServiceError>;
    /// The learning rate of the first parameter group; `None` without an optimizer.
    fn learning_rate(&mut self) -> Option<f64>;
    /// What the current point carries, as JSON: the metrics `{name: number, …}` after the epoch of a
    /// validation or test, `{path, epoch, iter, is_best, …}` after saving, `{kind, message}` on an
    /// exception, `null` elsewhere.
    fn payload(&mut self, point: HookPoint) -> Json;
    /// A method of a service that is not called every iteration.
    fn call(&mut self, service: &str, method: &str, arguments: Json) -> Result<Json, ServiceError>;
}
