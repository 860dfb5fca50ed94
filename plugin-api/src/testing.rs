//! A run that exists only in memory, so that authors test a hook without a trainer. Knows nothing of libtorch.

use crate::dispatch::dispatch;
use crate::host::{
    HostContext, LogLevel, Progress, ServiceError, Services, Statistic, TensorHandle,
};
use crate::runner::Runner;
use crate::services::ids;
use crate::{Hook, HookPoint, HookResult, Metrics, Stage};
use serde_json::{json, Map, Value as Json};
use std::collections::BTreeMap;

/// One call of a JSON service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCall {
    /// Id of the service, such as `snaphook.model/1`.
    pub service: String,
    /// Name of the method.
    pub method: String,
    /// What it was given.
    pub arguments: Json,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Severity.
    pub level: LogLevel,
    /// The hook that wrote it.
    pub target: String,
    /// Text.
    pub message: String,
}

/// A run in memory: set what the hook shall find, call a point, look at what it did.
///
/// ```
/// use snaphook_plugin_api::prelude::*;
/// use snaphook_plugin_api::testing::FakeRunner;
///
/// #[derive(Kwargs)]
/// struct Greeter;
///
/// #[hook]
/// impl Hook for Greeter {
///     fn before_train_epoch(&mut self, runner: &mut Runner) -> HookResult {
///         runner.info(&format!("epoch {} begins", runner.epoch() + 1));
///         Ok(())
///     }
/// }
///
/// let mut run = FakeRunner::new().epoch(2);
/// run.run_point(&mut Greeter, HookPoint::BeforeTrainEpoch, None).unwrap();
/// assert_eq!(run.logged(), ["epoch 3 begins"]);
/// ```
pub struct FakeRunner {
    progress: Progress,
    log_level: LogLevel,
    learning_rate: Option<f64>,
    outputs: Vec<(String, Vec<f64>)>,
    payloads: BTreeMap<u32, Json>,
    answers: BTreeMap<(String, String), Result<Json, ServiceError>>,
    attributes: BTreeMap<(String, String), Json>,
    info: Map<String, Json>,
    entries: Map<String, Json>,
    config: Json,
    world: (u64, u64),
    scalars: BTreeMap<String, Vec<(f64, u64)>>,
    /// The keys of `scalars` in the order in which they first came, as a host answers them.
    scalar_keys: Vec<String>,
    logs: Vec<LogRecord>,
    calls: Vec<ServiceCall>,
}

impl Default for FakeRunner {
    fn default() -> FakeRunner {
        FakeRunner::new()
    }
}

impl FakeRunner {
    /// A run in training at its very beginning: one epoch of 100 iterations, one process.
    pub fn new() -> FakeRunner {
        FakeRunner {
            progress: Progress {
                max_epochs: 1,
                max_iters: 100,
                epoch_length: 100,
                stage: 1,
                by_epoch: 1,
                ..Progress::default()
            },
            log_level: LogLevel::Info,
            learning_rate: None,
            outputs: Vec::new(),
            payloads: BTreeMap::new(),
            answers: BTreeMap::new(),
            attributes: BTreeMap::new(),
            info: Map::new(),
            entries: Map::new(),
            config: json!({}),
            world: (0, 1),
            scalars: BTreeMap::new(),
            scalar_keys: Vec::new(),
            logs: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Epochs finished.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.progress.epoch = epoch;
        self
    }

    /// Training iterations finished.
    pub fn iter(mut self, iter: u64) -> Self {
        self.progress.iter = iter;
        self
    }

    /// Epochs of the whole run.
    pub fn max_epochs(mut self, max_epochs: u64) -> Self {
        self.progress.max_epochs = max_epochs;
        self
    }

    /// Training iterations of the whole run.
    pub fn max_iters(mut self, max_iters: u64) -> Self {
        self.progress.max_iters = max_iters;
        self
    }

    /// Batches of an epoch.
    pub fn epoch_length(mut self, epoch_length: u64) -> Self {
        self.progress.epoch_length = epoch_length;
        self
    }

    /// What runs.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.progress.stage = stage as u32;
        self
    }

    /// An output of the training step; more than one element makes it a tensor without a value.
    pub fn output(mut self, name: &str, elements: impl IntoIterator<Item = f64>) -> Self {
        self.outputs.push((name.to_owned(), elements.into_iter().collect()));
        self
    }

    /// The metrics that validations and tests end with.
    pub fn metrics(self, metrics: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        let metrics = metrics.into_iter().collect::<Metrics>().to_json();
        self.payload(HookPoint::AfterValEpoch, metrics.clone())
            .payload(HookPoint::AfterTestEpoch, metrics)
    }

    /// What a point carries.
    pub fn payload(mut self, point: HookPoint, payload: Json) -> Self {
        self.payloads.insert(point.number(), payload);
        self
    }

    /// The number of this process, and how many there are.
    pub fn world(mut self, rank: u64, world_size: u64) -> Self {
        self.world = (rank, world_size);
        self
    }

    /// The config.
    pub fn config(mut self, config: Json) -> Self {
        self.config = config;
        self
    }

    /// The learning rate of the first group.
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.learning_rate = Some(learning_rate);
        self
    }

    /// The most verbose level that is kept.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// An attribute of a module.
    pub fn attribute(mut self, module: &str, name: &str, value: impl Into<Json>) -> Self {
        self.attributes.insert((module.to_owned(), name.to_owned()), value.into());
        self
    }

    /// What a method of a JSON service answers.
    pub fn answer(mut self, service: &str, method: &str, answer: Json) -> Self {
        self.answers.insert((service.to_owned(), method.to_owned()), Ok(answer));
        self
    }

    /// A method of a JSON service that fails.
    pub fn failure(mut self, service: &str, method: &str, error: ServiceError) -> Self {
        self.answers.insert((service.to_owned(), method.to_owned()), Err(error));
        self
    }

    /// Goes on to other counters between two calls.
    pub fn set_progress(&mut self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress);
    }

    /// The runner that a hook is given.
    pub fn with_runner<T>(&mut self, work: impl FnOnce(&mut Runner<'_>) -> T) -> T {
        let mut context = HostContext::new(self);
        work(&mut context.native_runner("test"))
    }

    /// Calls the method of `point`, as a trainer would; `batch_idx` is for the points of single batches.
    pub fn run_point(
        &mut self,
        hook: &mut dyn Hook,
        point: HookPoint,
        batch_idx: Option<u64>,
    ) -> HookResult {
        self.with_runner(|runner| dispatch(hook, point, batch_idx, runner))
    }

    /// The texts of the log's records.
    pub fn logged(&self) -> Vec<&str> {
        self.logs.iter().map(|record| record.message.as_str()).collect()
    }

    /// The log's records.
    pub fn logs(&self) -> &[LogRecord] {
        &self.logs
    }

    /// All calls of JSON services.
    pub fn calls(&self) -> &[ServiceCall] {
        &self.calls
    }

    /// The calls of one method, by what they were given.
    pub fn calls_of(&self, service: &str, method: &str) -> Vec<&Json> {
        let calls = self.calls.iter();
        let calls = calls.filter(|call| call.service == service && call.method == method);
        calls.map(|call| &call.arguments).collect()
    }

    /// Why the hook asked to stop, if it did.
    pub fn stop_reason(&self) -> Option<&str> {
        self.calls_of(ids::CONTROL, "stop").last()?["reason"].as_str()
    }

    /// The values that were added to a scalar.
    pub fn scalar(&self, key: &str) -> Vec<f64> {
        let entries = self.scalars.get(key).map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(|(value, _)| *value).collect()
    }

    fn elements(&self, tensor: TensorHandle) -> Result<&[f64], ServiceError> {
        let index = (tensor.id as usize).wrapping_sub(1);
        let found = self.outputs.get(index).map(|(_, elements)| elements.as_slice());
        found.ok_or_else(|| ServiceError::Failed(format!("tensor {}: no longer valid", tensor.id)))
    }

    fn usual_answer(&mut self, call: &ServiceCall) -> Result<Json, ServiceError> {
        let text = |key: &str| call.arguments[key].as_str().unwrap_or_default().to_owned();
        let attribute = (text("module"), text("name"));
        match (call.service.as_str(), call.method.as_str()) {
            (ids::RUN, "info") => Ok(json!({ "work_dir": "work_dirs/fake", "device": "cpu" })),
            (ids::RUN, "config") => Ok(self.config.clone()),
            (ids::MESSAGES, "set_info") => {
                Ok(put(&mut self.info, &text("key"), &call.arguments["value"]))
            }
            (ids::MESSAGES, "info") => Ok(self.info.get(&text("key")).cloned().unwrap_or_default()),
            (ids::MESSAGES, "keys") => Ok(self.scalar_keys.clone().into()),
            (ids::CHECKPOINT, "folder") => Ok(json!("work_dirs/fake")),
            (ids::CHECKPOINT, "entry") => {
                Ok(self.entries.get(&text("key")).cloned().unwrap_or_default())
            }
            (ids::CHECKPOINT, "set_entry") => {
                Ok(put(&mut self.entries, &text("key"), &call.arguments["value"]))
            }
            (ids::MODEL, "modules") | (ids::OPTIMIZER, "groups") | (ids::DATA, "pipelines") => {
                Ok(json!([]))
            }
            (ids::MODEL, "attribute") => {
                Ok(self.attributes.get(&attribute).cloned().unwrap_or_default())
            }
            (ids::MODEL, "set_attribute") => {
                self.attributes.insert(attribute, call.arguments["value"].clone());
                Ok(Json::Null)
            }
            (ids::DISTRIBUTED, "world") => {
                Ok(json!({ "rank": self.world.0, "world_size": self.world.1 }))
            }
            (ids::DISTRIBUTED, "all_reduce") => Ok(call.arguments["values"].clone()),
            (ids::DISTRIBUTED, "broadcast") => Ok(call.arguments["value"].clone()),
            (ids::DISTRIBUTED, "gather") => {
                Ok(Json::Array(vec![call.arguments["value"].clone(); self.world.1 as usize]))
            }
            (service, method) if !KNOWN.contains(&service) => {
                Err(ServiceError::Unsupported(format!("{service} {method}")))
            }
            _ => Ok(Json::Null),
        }
    }
}

const KNOWN: [&str; 13] = [
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
    ids::PROFILE,
    ids::DEVICE,
];

fn put(map: &mut Map<String, Json>, key: &str, value: &Json) -> Json {
    map.insert(key.to_owned(), value.clone());
    Json::Null
}

impl Services for FakeRunner {
    fn progress(&mut self) -> Progress {
        self.progress
    }

    fn log_level(&mut self) -> LogLevel {
        self.log_level
    }

    fn log(&mut self, level: LogLevel, target: &str, message: &str) {
        let (target, message) = (target.to_owned(), message.to_owned());
        self.logs.push(LogRecord { level, target, message });
    }

    fn scalar_add(&mut self, key: &str, value: f64, count: u64) {
        if !self.scalars.contains_key(key) {
            self.scalar_keys.push(key.to_owned());
        }
        self.scalars.entry(key.to_owned()).or_default().push((value, count));
    }

    fn scalar_add_tensor(&mut self, key: &str, tensor: TensorHandle) {
        let value = self.tensor_item(tensor).unwrap_or(f64::NAN);
        self.scalar_add(key, value, 1);
    }

    fn scalar_read(&mut self, key: &str, statistic: Statistic, window: u64) -> Option<f64> {
        let entries = self.scalars.get(key)?;
        let skipped = match window {
            0 => 0,
            window => entries.len().saturating_sub(window as usize),
        };
        let entries = &entries[skipped..];
        let values = entries.iter().map(|(value, _)| *value);
        match statistic {
            Statistic::Current => entries.last().map(|(value, _)| *value),
            Statistic::Min => values.reduce(f64::min),
            Statistic::Max => values.reduce(f64::max),
            Statistic::Mean => {
                let count: u64 = entries.iter().map(|(_, count)| *count).sum();
                let sum: f64 = entries.iter().map(|(value, count)| value * *count as f64).sum();
                (count > 0).then(|| sum / count as f64)
            }
        }
    }

    fn output(&mut self, name: &str) -> Option<TensorHandle> {
        let index = self.outputs.iter().position(|(known, _)| known == name)?;
        Some(TensorHandle { id: index as u64 + 1 })
    }

    fn output_names(&mut self) -> Vec<String> {
        self.outputs.iter().map(|(name, _)| name.clone()).collect()
    }

    fn tensor_item(&mut self, tensor: TensorHandle) -> Result<f64, ServiceError> {
        match self.elements(tensor)? {
            [value] => Ok(*value),
            many => Err(ServiceError::Failed(format!(
                "tensor: expected one element, found {} (use all_finite, or pick one)",
                many.len()
            ))),
        }
    }

    fn tensor_all_finite(&mut self, tensor: TensorHandle) -> Result<bool, ServiceError> {
        Ok(self.elements(tensor)?.iter().all(|element| element.is_finite()))
    }

    fn learning_rate(&mut self) -> Option<f64> {
        self.learning_rate
    }

    fn payload(&mut self, point: HookPoint) -> Json {
        self.payloads.get(&point.number()).cloned().unwrap_or_default()
    }

    fn call(&mut self, service: &str, method: &str, arguments: Json) -> Result<Json, ServiceError> {
        let call =
            ServiceCall { service: service.to_owned(), method: method.to_owned(), arguments };
        let set = self.answers.get(&(call.service.clone(), call.method.clone())).cloned();
        let answer = match set {
            Some(answer) => answer,
            None => self.usual_answer(&call),
        };
        self.calls.push(call);
        answer
    }
}
