//! The services of a host, grouped by what they are about. Each method is one call of a JSON service;
//! the ids and the methods' names are the contract. Knows nothing of how a host carries them out.

use crate::host::{ServiceError, Statistic};
use crate::runner::HostRef;
use crate::{Metrics, Runner, Tensor};
use serde_json::{json, Value as Json};
use std::path::PathBuf;

mod checkpoints;
mod control;
mod data;
mod folders;
mod profile;

pub use control::Interruption;
pub use profile::{DeviceMemory, OperatorTotal, TraceFile};

/// Ids of the JSON services.
pub mod ids {
    /// Names and folders of the run, its config.
    pub const RUN: &str = "snaphook.run/1";
    /// JSON info that is saved with checkpoints.
    pub const MESSAGES: &str = "snaphook.messages/1";
    /// The module tree.
    pub const MODEL: &str = "snaphook.model/1";
    /// Parameter groups.
    pub const OPTIMIZER: &str = "snaphook.optimizer/1";
    /// Schedules of the learning rate and of other hyper-parameters.
    pub const SCHEDULE: &str = "snaphook.schedule/1";
    /// Data sets, pipelines, samplers.
    pub const DATA: &str = "snaphook.data/1";
    /// Checkpoints.
    pub const CHECKPOINT: &str = "snaphook.checkpoint/1";
    /// The course of the run.
    pub const CONTROL: &str = "snaphook.control/1";
    /// The other processes of the job.
    pub const DISTRIBUTED: &str = "snaphook.distributed/1";
    /// Scalars and pictures for people.
    pub const VISUAL: &str = "snaphook.visual/1";
    /// Averaged copies of the model.
    pub const AVERAGING: &str = "snaphook.averaging/1";
    /// Where the time of the run goes.
    pub const PROFILE: &str = "snaphook.profile/1";
    /// The device that the model is on.
    pub const DEVICE: &str = "snaphook.device/1";
}

/// What a service answers.
pub type ServiceResult<T> = Result<T, ServiceError>;

macro_rules! groups {
    ($($(#[$doc:meta])* $method:ident: $group:ident;)*) => {
        $($(#[$doc])*
        pub struct $group<'call> {
            host: HostRef<'call>,
        })*

        impl<'call> Runner<'call> {
            $($(#[$doc])*
            pub fn $method(&mut self) -> $group<'call> {
                $group { host: self.host }
            })*
        }
    };
}

groups! {
    /// Names and folders of the run, its config.
    run: Run;
    /// Scalars with history, and JSON info; saved with checkpoints.
    messages: Messages;
    /// The module tree: attributes, and named methods.
    model: Model;
    /// The optimizer's parameter groups.
    optimizer: Optimizer;
    /// Schedules of the learning rate and of other hyper-parameters.
    schedule: Schedule;
    /// Data sets, their pipelines and samplers.
    data: Data;
    /// Checkpoints on disk.
    checkpoints: Checkpoints;
    /// The course of the run.
    control: Control;
    /// The other processes of the job. Whatever is called here but `rank` and `world_size` takes all of them: each must call it,
    /// from the same hook at the same point, with as many numbers. Where one does not, all get an error that names the hook, the
    /// point and what every process was at, and the run ends; at once where the others come to a service of a hook or to the end
    /// of the iteration, epoch or validation, else after the time that processes wait for each other.
    distributed: Distributed;
    /// Scalars and pictures for people.
    visuals: Visuals;
    /// Averaged copies of the model.
    averaging: Averaging;
    /// Where the time of the run goes.
    profile: Profile;
    /// The device that the model is on.
    device: Device;
}

fn text(object: &Json, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

fn wrong(what: &str, expected: &str, found: &Json) -> ServiceError {
    ServiceError::Failed(format!("answer of {what}: expected {expected}, found {found}"))
}

/// Names and folders of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunInfo {
    /// The folder of the experiment, `work_dirs/<config>`.
    pub work_dir: PathBuf,
    /// The folder of this run in it, `<timestamp>`.
    pub run_dir: PathBuf,
    /// `<config>_<timestamp>`.
    pub experiment_name: String,
    /// When the run began, `20260131_235959`.
    pub timestamp: String,
    /// The config file, when there is one.
    pub config_path: Option<PathBuf>,
    /// The seed of the run.
    pub seed: u64,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Version of the host.
    pub version: String,
}

impl Run<'_> {
    /// Names and folders of this run.
    pub fn info(&self) -> ServiceResult<RunInfo> {
        let info = self.host.call(ids::RUN, "info", &json!({}))?;
        Ok(RunInfo {
            work_dir: text(&info, "work_dir").into(),
            run_dir: text(&info, "run_dir").into(),
            experiment_name: text(&info, "experiment_name"),
            timestamp: text(&info, "timestamp"),
            config_path: info["config_path"].as_str().map(PathBuf::from),
            seed: info["seed"].as_u64().unwrap_or_default(),
            device: text(&info, "device"),
            version: text(&info, "version"),
        })
    }

    /// The resolved config.
    pub fn config(&self) -> ServiceResult<Json> {
        self.host.call(ids::RUN, "config", &json!({}))
    }
}

impl Messages<'_> {
    /// Appends a value to the history of a scalar, such as `train/loss`.
    pub fn add(&self, key: &str, value: f64) {
        self.host.scalar_add(key, value, 1);
    }

    /// Appends a value that is the sum over `count` things; means divide by their number, as in MMEngine.
    pub fn add_weighted(&self, key: &str, value: f64, count: u64) {
        self.host.scalar_add(key, value, count);
    }

    /// Appends a tensor of one element, read from its device only when somebody reads the history.
    pub fn add_tensor(&self, key: &str, tensor: Tensor<'_>) {
        self.host.scalar_add_tensor(key, tensor.handle);
    }

    /// The last value of a scalar; `None` when it has none.
    pub fn current(&self, key: &str) -> Option<f64> {
        self.host.scalar_read(key, Statistic::Current, 0)
    }

    /// The weighted mean of the last `window` entries (0: all).
    pub fn mean(&self, key: &str, window: u64) -> Option<f64> {
        self.host.scalar_read(key, Statistic::Mean, window)
    }

    /// The smallest of the last `window` entries (0: all).
    pub fn min(&self, key: &str, window: u64) -> Option<f64> {
        self.host.scalar_read(key, Statistic::Min, window)
    }

    /// The largest of the last `window` entries (0: all).
    pub fn max(&self, key: &str, window: u64) -> Option<f64> {
        self.host.scalar_read(key, Statistic::Max, window)
    }

    /// Keeps a JSON value under a key.
    pub fn set_info(&self, key: &str, value: Json) -> ServiceResult<()> {
        let arguments = json!({ "key": key, "value": value });
        self.host.call(ids::MESSAGES, "set_info", &arguments).map(drop)
    }

    /// The JSON value of a key; `None` when there is none.
    pub fn info(&self, key: &str) -> ServiceResult<Option<Json>> {
        let value = self.host.call(ids::MESSAGES, "info", &json!({ "key": key }))?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    /// The keys of all scalars.
    pub fn keys(&self) -> ServiceResult<Vec<String>> {
        let keys = self.host.call(ids::MESSAGES, "keys", &json!({}))?;
        let Some(keys) = keys.as_array() else {
            return Err(wrong("messages.keys", "an array", &keys));
        };
        Ok(keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect())
    }
}

/// A module of the model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Module {
    /// Its path, such as `bbox_head`; empty for the model itself.
    pub name: String,
    /// Its type, such as `YOLOXHead`.
    pub type_name: String,
    /// Its attributes, such as `num_classes`.
    pub attributes: Json,
}

impl Model<'_> {
    /// The modules, the model itself first.
    pub fn modules(&self) -> ServiceResult<Vec<Module>> {
        let modules = self.host.call(ids::MODEL, "modules", &json!({}))?;
        let Some(modules) = modules.as_array() else {
            return Err(wrong("model.modules", "an array", &modules));
        };
        let read = |module: &Json| Module {
            name: text(module, "name"),
            type_name: text(module, "type_name"),
            attributes: module["attributes"].clone(),
        };
        Ok(modules.iter().map(read).collect())
    }

    /// Sets an attribute of a module.
    pub fn set_attribute(
        &self,
        module: &str,
        name: &str,
        value: impl Into<Json>,
    ) -> ServiceResult<()> {
        let arguments = json!({ "module": module, "name": name, "value": value.into() });
        self.host.call(ids::MODEL, "set_attribute", &arguments).map(drop)
    }

    /// Reads an attribute of a module.
    pub fn attribute(&self, module: &str, name: &str) -> ServiceResult<Json> {
        self.host.call(ids::MODEL, "attribute", &json!({ "module": module, "name": name }))
    }

    /// Moves every parameter of the module `target` towards that of the same name in the module `source`, which has the
    /// same structure: `target = (1 - weight) * target + weight * source`. `buffers`: also running means and other buffers
    /// of floating point.
    ///
    /// Errors: no such module, or another structure; then nothing was changed.
    pub fn blend(
        &self,
        target: &str,
        source: &str,
        weight: f64,
        buffers: bool,
    ) -> ServiceResult<()> {
        let arguments = json!({
            "target": target, "source": source, "weight": weight, "buffers": buffers,
        });
        self.host.call(ids::MODEL, "blend", &arguments).map(drop)
    }

    /// Calls a method that the model offers by name, such as `set_epoch`.
    pub fn call(&self, method: &str, arguments: Json) -> ServiceResult<Json> {
        let arguments = json!({ "method": method, "arguments": arguments });
        self.host.call(ids::MODEL, "call", &arguments)
    }
}

impl Optimizer<'_> {
    /// The parameter groups, each an object with `lr`, `weight_decay`, `momentum` and so on.
    pub fn groups(&self) -> ServiceResult<Vec<Json>> {
        match self.host.call(ids::OPTIMIZER, "groups", &json!({}))? {
            Json::Array(groups) => Ok(groups),
            found => Err(wrong("optimizer.groups", "an array", &found)),
        }
    }

    /// Sets a value of one group.
    pub fn set(&self, group: usize, name: &str, value: f64) -> ServiceResult<()> {
        let arguments = json!({ "group": group, "name": name, "value": value });
        self.host.call(ids::OPTIMIZER, "set", &arguments).map(drop)
    }
}

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleUnit {
    /// Training iterations.
    Iteration,
    /// Epochs.
    Epoch,
}

impl Schedule<'_> {
    /// Moves the schedules that count this unit one step on.
    pub fn step(&self, unit: ScheduleUnit) -> ServiceResult<()> {
        let unit = match unit {
            ScheduleUnit::Iteration => "iter",
            ScheduleUnit::Epoch => "epoch",
        };
        self.host.call(ids::SCHEDULE, "step", &json!({ "unit": unit })).map(drop)
    }

    /// Moves the schedules that follow a metric one step on.
    pub fn step_with_metrics(&self, metrics: &Metrics) -> ServiceResult<()> {
        let arguments = json!({ "metrics": metrics.to_json() });
        self.host.call(ids::SCHEDULE, "step_metrics", &arguments).map(drop)
    }
}

impl Distributed<'_> {
    fn world(&self, key: &str) -> Option<u64> {
        self.host.call(ids::DISTRIBUTED, "world", &json!({})).ok()?[key].as_u64()
    }

    /// The number of this process, from 0; 0 where there is one process only.
    pub fn rank(&self) -> u64 {
        self.world("rank").unwrap_or(0)
    }

    /// How many processes train together.
    pub fn world_size(&self) -> u64 {
        self.world("world_size").unwrap_or(1)
    }

    /// The element-wise mean over all processes, of as many numbers on each.
    pub fn all_reduce_mean(&self, values: &[f64]) -> ServiceResult<Vec<f64>> {
        let values: Vec<Json> = values.iter().map(|value| number_to_json(*value)).collect();
        let arguments = json!({ "values": values, "op": "mean" });
        let answer = self.host.call(ids::DISTRIBUTED, "all_reduce", &arguments)?;
        let Some(means) = answer.as_array() else {
            return Err(wrong("distributed.all_reduce", "an array", &answer));
        };
        Ok(means.iter().map(number_from_json).collect())
    }

    /// The value of rank 0.
    pub fn broadcast(&self, value: Json) -> ServiceResult<Json> {
        self.host.call(ids::DISTRIBUTED, "broadcast", &json!({ "value": value }))
    }

    /// The values of all processes, by rank.
    pub fn gather(&self, value: Json) -> ServiceResult<Vec<Json>> {
        match self.host.call(ids::DISTRIBUTED, "gather", &json!({ "value": value }))? {
            Json::Array(values) => Ok(values),
            found => Err(wrong("distributed.gather", "an array", &found)),
        }
    }

    /// Waits until every process is here.
    pub fn barrier(&self) -> ServiceResult<()> {
        self.host.call(ids::DISTRIBUTED, "barrier", &json!({})).map(drop)
    }

    /// Replaces the state of every batch normalization by its mean over all processes.
    pub fn average_norm_state(&self) -> ServiceResult<()> {
        self.host.call(ids::DISTRIBUTED, "average_norm_state", &json!({})).map(drop)
    }
}

impl Distributed<'_> {
    /// Replaces every buffer of the model, such as running means, by its mean over all processes.
    pub fn average_buffers(&self) -> ServiceResult<()> {
        self.host.call(ids::DISTRIBUTED, "average_buffers", &json!({})).map(drop)
    }
}

/// JSON has no infinities and no NaN: text stands for them, and null for NaN in what older hosts say.
fn number_to_json(value: f64) -> Json {
    if value.is_finite() {
        json!(value)
    } else {
        json!(value.to_string())
    }
}

fn number_from_json(value: &Json) -> f64 {
    let told = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    told.unwrap_or(f64::NAN)
}

impl Visuals<'_> {
    /// Writes scalars of one step to the run's writers.
    pub fn add_scalars(&self, values: &Json, step: u64) -> ServiceResult<()> {
        self.host.call(ids::VISUAL, "scalars", &json!({ "values": values, "step": step })).map(drop)
    }

    /// Draws predictions of the batch that was just evaluated.
    pub fn draw_predictions(&self, options: Json) -> ServiceResult<()> {
        self.host.call(ids::VISUAL, "draw_predictions", &options).map(drop)
    }
}

impl Averaging<'_> {
    /// Makes an averaged copy of the model.
    pub fn create(&self, options: Json) -> ServiceResult<()> {
        self.host.call(ids::AVERAGING, "create", &options).map(drop)
    }

    /// Takes the model's weights into the average.
    pub fn update(&self, options: Json) -> ServiceResult<()> {
        self.host.call(ids::AVERAGING, "update", &options).map(drop)
    }

    /// Exchanges the model's weights with the average; a second call exchanges them back.
    pub fn swap(&self) -> ServiceResult<()> {
        self.host.call(ids::AVERAGING, "swap", &json!({})).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_know_come_back() {
        for value in [1.5, -0.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
            let told = number_to_json(value).to_string();
            let back = number_from_json(&serde_json::from_str(&told).unwrap());
            assert_eq!(back.to_bits(), value.to_bits(), "{told}");
        }
        assert!(number_from_json(&number_to_json(f64::NAN)).is_nan());
        assert!(number_from_json(&Json::Null).is_nan());
    }
}
