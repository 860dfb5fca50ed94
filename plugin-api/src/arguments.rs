//! What the methods of a hook are given besides the runner. Knows nothing of libtorch.

use crate::host::{ServiceError, TensorHandle};
use crate::runner::HostRef;
use crate::services::ids;
use serde_json::{json, Map, Value as Json};
use std::path::PathBuf;

/// A batch before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Its number in the epoch, from 0.
    pub batch_idx: u64,
}

/// A training step that just ended.
#[non_exhaustive]
pub struct TrainStep<'call> {
    /// The number of its batch in the epoch, from 0.
    pub batch_idx: u64,
    /// Losses and other results, by name.
    pub outputs: Outputs<'call>,
}

/// A step of a validation or a test that just ended.
#[non_exhaustive]
pub struct EvalStep<'call> {
    /// The number of its batch in the epoch, from 0.
    pub batch_idx: u64,
    #[allow(dead_code)] // predictions come from here in a later minor version
    pub(crate) host: HostRef<'call>,
}

/// Losses and other results of a training step, by name (`loss`, `loss_cls`, …).
#[derive(Clone, Copy)]
pub struct Outputs<'call> {
    pub(crate) host: HostRef<'call>,
}

impl<'call> Outputs<'call> {
    /// The names, in the model's order.
    pub fn names(&self) -> Vec<String> {
        self.host.output_names()
    }

    /// The value of an output of one element. Waits for the device.
    ///
    /// Errors: when there is no output of that name, or it has more than one element.
    pub fn value(&self, name: &str) -> Result<f64, ServiceError> {
        self.expect(name)?.item()
    }

    /// Whether every element of an output is finite. Waits for the device.
    ///
    /// Errors: when there is no output of that name.
    pub fn all_finite(&self, name: &str) -> Result<bool, ServiceError> {
        self.expect(name)?.all_finite()
    }

    /// The tensor of an output.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'call>> {
        let handle = self.host.output(name)?;
        Some(Tensor { handle, host: self.host })
    }

    fn expect(&self, name: &str) -> Result<Tensor<'call>, ServiceError> {
        self.tensor(name).ok_or_else(|| {
            let names = self.names().join(", ");
            let names = if names.is_empty() { "none" } else { &names };
            ServiceError::Failed(format!(
                "output '{name}': expected among the outputs of the step, found {names}"
            ))
        })
    }
}

/// A tensor of the host, during the call in which it was handed out.
#[derive(Clone, Copy)]
pub struct Tensor<'call> {
    pub(crate) handle: TensorHandle,
    pub(crate) host: HostRef<'call>,
}

impl Tensor<'_> {
    /// The value of a tensor of one element. Waits for the device.
    pub fn item(&self) -> Result<f64, ServiceError> {
        self.host.tensor_item(self.handle)
    }

    /// Whether every element is finite. Waits for the device.
    pub fn all_finite(&self) -> Result<bool, ServiceError> {
        self.host.tensor_all_finite(self.handle)
    }
}

/// The metrics of a validation or a test, in the order of the metrics' computation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    values: Vec<(String, f64)>,
}

impl Metrics {
    /// The metrics in a JSON object; values that are no numbers (and no `null`, read as NaN) are left out.
    pub fn from_json(object: &Json) -> Metrics {
        let read = |(name, value): (&String, &Json)| {
            let value = if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
            value.map(|value| (name.clone(), value))
        };
        let values = object.as_object().map(|object| object.iter().filter_map(read).collect());
        Metrics { values: values.unwrap_or_default() }
    }

    /// The metrics as a JSON object; a value that is not finite is `null`.
    pub fn to_json(&self) -> Json {
        let entries = self.values.iter().map(|(name, value)| (name.clone(), json!(value)));
        Json::Object(entries.collect::<Map<_, _>>())
    }

    /// The value of a metric, such as `coco/bbox_mAP`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> + '_ {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (N, f64)>>(values: I) -> Metrics {
        Metrics { values: values.into_iter().map(|(name, value)| (name.into(), value)).collect() }
    }
}

/// A checkpoint before it is written or after it was read.
pub struct Checkpoint<'call> {
    pub(crate) host: HostRef<'call>,
}

impl Checkpoint<'_> {
    /// The JSON entry of this key; `None` when there is none.
    pub fn entry(&self, key: &str) -> Result<Option<Json>, ServiceError> {
        let value = self.host.call(ids::CHECKPOINT, "entry", &json!({ "key": key }))?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    /// Sets the JSON entry of this key.
    pub fn set_entry(&mut self, key: &str, value: impl Into<Json>) -> Result<(), ServiceError> {
        let arguments = json!({ "key": key, "value": value.into() });
        self.host.call(ids::CHECKPOINT, "set_entry", &arguments).map(drop)
    }
}

/// A checkpoint that is whole on disk.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SavedCheckpoint {
    /// The file.
    pub path: PathBuf,
    /// Epochs that it has seen.
    pub epoch: u64,
    /// Training iterations that it has seen.
    pub iter: u64,
    /// Whether it was written for being the best so far.
    pub is_best: bool,
    /// Everything the host said of it.
    pub details: Json,
}

impl SavedCheckpoint {
    pub(crate) fn from_json(saved: Json) -> SavedCheckpoint {
        SavedCheckpoint {
            path: saved["path"].as_str().unwrap_or_default().into(),
            epoch: saved["epoch"].as_u64().unwrap_or_default(),
            iter: saved["iter"].as_u64().unwrap_or_default(),
            is_best: saved["is_best"].as_bool().unwrap_or_default(),
            details: saved,
        }
    }
}

/// Why a run ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunError {
    /// One word, such as `hook`, `data`, `signal`.
    pub kind: String,
    /// What happened.
    pub message: String,
}

impl RunError {
    pub(crate) fn from_json(error: &Json) -> RunError {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        RunError { kind: text("kind"), message: text("message") }
    }
}

/// A checkpoint that the run is to start from, and that is not on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedCheckpoint {
    /// Where it is, such as `s3://bucket/prefix`.
    pub url: String,
    /// The folder that it goes into, under a name of its own: the work folder, which may not exist yet.
    pub folder: PathBuf,
}

impl WantedCheckpoint {
    pub(crate) fn from_json(wanted: &Json) -> WantedCheckpoint {
        WantedCheckpoint {
            url: wanted["url"].as_str().unwrap_or_default().to_owned(),
            folder: wanted["folder"].as_str().unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use serde_json::json;

    #[test]
    fn metrics_keep_their_order_and_survive_json() {
        let metrics: Metrics =
            [("coco/bbox_mAP", 0.3), ("coco/bbox_mAP_50", 0.6)].into_iter().collect();
        assert_eq!(Metrics::from_json(&metrics.to_json()), metrics);
        assert_eq!(metrics.get("coco/bbox_mAP_50"), Some(0.6));
        assert_eq!(metrics.iter().next(), Some(("coco/bbox_mAP", 0.3)));
        assert!(Metrics::from_json(&json!({"name": "x"})).is_empty());
    }
}
