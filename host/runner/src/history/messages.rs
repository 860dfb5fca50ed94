//! All scalars and information of a run, by key.
//! Knows nothing of who writes or reads them.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};
use tch::Tensor;

use super::series::Series;

/// Values that are kept of each scalar, unless more are asked for.
const DEFAULT_CAPACITY: usize = 10_000;

/// Saved messages of another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A part that cannot be read.
    #[error(
        "saved messages: `{key}` cannot be read (the checkpoint is damaged, or of another version)"
    )]
    Malformed {
        /// The part.
        key: String,
    },
}

/// Scalars with their history, and information as JSON; both are saved with checkpoints.
///
/// Of each scalar the latest 10,000 values are kept (more with [`Messages::keep_at_least`]), and of all values ever added
/// their sum, count, minimum and maximum. A window that reaches over everything is answered from those, one that reaches
/// further back than what is kept from what is kept. Adding takes constant time, a statistic time in proportion to its
/// window. Memory: 16 bytes for each kept value.
///
/// ```
/// use snaphook_runner::history::Messages;
/// let mut messages = Messages::default();
/// for loss in [4.0, 2.0, 1.0] {
///     messages.add("train/loss", loss, 1);
/// }
/// assert_eq!(messages.current("train/loss"), Some(1.0));
/// assert_eq!(messages.mean("train/loss", 2), Some(1.5));
/// ```
#[derive(Debug)]
pub struct Messages {
    scalars: IndexMap<String, Series>,
    info: IndexMap<String, Info>,
    capacity: usize,
}

#[derive(Clone, Debug)]
struct Info {
    value: Json,
    is_saved: bool,
}

impl Default for Messages {
    fn default() -> Messages {
        Messages { scalars: IndexMap::new(), info: IndexMap::new(), capacity: DEFAULT_CAPACITY }
    }
}

impl Messages {
    /// Keeps at least this many values of each scalar, for windows of that size, such as an epoch.
    pub fn keep_at_least(&mut self, values: usize) {
        self.capacity = self.capacity.max(values);
    }

    /// Adds a value that stands for `count` samples: `value` is their sum.
    pub fn add(&mut self, key: &str, value: f64, count: u64) {
        let capacity = self.capacity;
        self.series(key).add(value, count, capacity);
    }

    /// Adds the value of a tensor with one element, which is read from its device when somebody asks for the scalar.
    pub fn add_tensor(&mut self, key: &str, tensor: &Tensor) {
        let capacity = self.capacity;
        self.series(key).add_tensor(tensor, capacity);
    }

    /// The latest value; `None` if there is none.
    pub fn current(&mut self, key: &str) -> Option<f64> {
        self.settled(key)?.current()
    }

    /// The mean of the last `window` values.
    pub fn mean(&mut self, key: &str, window: usize) -> Option<f64> {
        self.settled(key)?.mean(window)
    }

    /// The least of the last `window` values.
    pub fn min(&mut self, key: &str, window: usize) -> Option<f64> {
        self.settled(key)?.min(window)
    }

    /// The greatest of the last `window` values.
    pub fn max(&mut self, key: &str, window: usize) -> Option<f64> {
        self.settled(key)?.max(window)
    }

    /// How many values were ever added under this key.
    pub fn len_of(&self, key: &str) -> u64 {
        self.scalars.get(key).map_or(0, Series::len)
    }

    /// The keys of all scalars, in the order in which they first came.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.scalars.keys().map(String::as_str)
    }

    /// Sets information that is saved with checkpoints.
    pub fn set_info(&mut self, key: &str, value: Json) {
        self.info.insert(key.to_owned(), Info { value, is_saved: true });
    }

    /// Sets information of this process alone, which a resumed run does not see.
    pub fn set_passing_info(&mut self, key: &str, value: Json) {
        self.info.insert(key.to_owned(), Info { value, is_saved: false });
    }

    /// The information under this key.
    pub fn info(&self, key: &str) -> Option<&Json> {
        self.info.get(key).map(|info| &info.value)
    }

    /// Everything as JSON, for a checkpoint. Tensors that wait are read.
    pub fn save(&mut self) -> Json {
        let capacity = self.capacity;
        let scalars = self.scalars.iter_mut().map(|(key, series)| {
            series.settle(capacity);
            (key.clone(), series.save())
        });
        let scalars: Map<String, Json> = scalars.collect();
        let saved = self.info.iter().filter(|(_, info)| info.is_saved);
        let info: Map<String, Json> =
            saved.map(|(key, info)| (key.clone(), info.value.clone())).collect();
        json!({ "scalars": scalars, "info": info })
    }

    /// Takes over saved scalars and information; keys that were not saved stay.
    ///
    /// Errors: saved messages of another form; nothing changes then.
    pub fn load(&mut self, saved: &Json) -> Result<(), HistoryError> {
        let malformed = |key: &str| HistoryError::Malformed { key: key.to_owned() };
        let scalars =
            saved.get("scalars").and_then(Json::as_object).ok_or_else(|| malformed("scalars"))?;
        let info = saved.get("info").and_then(Json::as_object).ok_or_else(|| malformed("info"))?;
        let mut read = Vec::with_capacity(scalars.len());
        for (key, series) in scalars {
            read.push((key.clone(), Series::load(series).ok_or_else(|| malformed(key))?));
        }
        self.scalars.extend(read);
        for (key, value) in info {
            self.set_info(key, value.clone());
        }
        Ok(())
    }

    fn series(&mut self, key: &str) -> &mut Series {
        if !self.scalars.contains_key(key) {
            self.scalars.insert(key.to_owned(), Series::new());
        }
        &mut self.scalars[key]
    }

    fn settled(&mut self, key: &str) -> Option<&Series> {
        let capacity = self.capacity;
        let series = self.scalars.get_mut(key)?;
        series.settle(capacity);
        Some(series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_the_sum_of_values_over_the_sum_of_counts() {
        let mut messages = Messages::default();
        messages.add("train/acc", 6.0, 8);
        messages.add("train/acc", 1.0, 2);
        messages.add("train/acc", 3.0, 4);
        assert_eq!(messages.mean("train/acc", 2), Some(4.0 / 6.0));
        assert_eq!(messages.mean("train/acc", 10), Some(10.0 / 14.0));
        assert_eq!(
            (messages.min("train/acc", 2), messages.max("train/acc", 3)),
            (Some(1.0), Some(6.0))
        );
        assert_eq!(messages.mean("absent", 2), None);
    }

    #[test]
    fn tensors_are_read_when_asked_for_and_in_order() {
        let mut messages = Messages::default();
        let loss = Tensor::from_slice(&[2.0f32]).set_requires_grad(true);
        messages.add_tensor("train/loss", &(&loss * 2.0).sum(None));
        messages.add_tensor("train/loss", &loss);
        assert_eq!(messages.len_of("train/loss"), 2);
        messages.add("train/loss", 8.0, 1);
        assert_eq!(messages.current("train/loss"), Some(8.0));
        assert_eq!(messages.mean("train/loss", 3), Some(14.0 / 3.0));
        assert_eq!(messages.max("train/loss", 2), Some(8.0));
    }

    #[test]
    fn memory_is_bounded_and_totals_are_of_everything() {
        let mut messages = Messages::default();
        for value in 0..30_000 {
            messages.add("x", f64::from(value), 1);
        }
        assert_eq!(messages.mean("x", usize::MAX), Some(14_999.5));
        assert_eq!(messages.min("x", usize::MAX), Some(0.0));
        // A window that reaches further back than what is kept.
        assert_eq!(messages.min("x", 20_000), Some(20_000.0));
        let saved = messages.save();
        assert_eq!(saved["scalars"]["x"]["values"].as_array().map(Vec::len), Some(10_000));
    }

    #[test]
    fn saved_messages_come_back_to_the_bit() {
        let mut messages = Messages::default();
        messages.add("loss", 0.1 + 0.2, 1);
        messages.add("loss", f64::NAN, 3);
        messages.add("loss", f64::NEG_INFINITY, 1);
        messages.set_info("best_score", json!(0.3));
        messages.set_passing_info("pid", json!(7));
        let text = messages.save().to_string();
        let mut resumed = Messages::default();
        resumed.load(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(resumed.save().to_string(), text);
        assert_eq!(resumed.min("loss", 3), Some(f64::NEG_INFINITY));
        assert_eq!(resumed.info("best_score"), Some(&json!(0.3)));
        assert_eq!(resumed.info("pid"), None);
    }

    #[test]
    fn damaged_messages_are_refused() {
        let mut messages = Messages::default();
        let damaged = json!({"scalars": {"loss": {"values": 3}}, "info": {}});
        let message = messages.load(&damaged).unwrap_err().to_string();
        assert!(message.starts_with("saved messages: `loss` cannot be read"), "{message}");
    }
}
