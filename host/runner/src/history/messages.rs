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
    #[error("saved messages: `{key}` cannot be read (the checkpoint is damaged, or of another version)")]
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
        let info: Map<String, Json> = saved.map(|(key, info)| (key.clone(), info.value.clone())).collect();
        json!({ "scalars": scalars, "info": info })
    }

    /// Takes over saved scalars and information; keys that were not saved stay.
    ///
    /// Errors: saved messages of another form; nothing changes then.
    pub fn load(&mut self, saved: &Json) -> Result<(), HistoryError> {
        let malformed = |key: &str| HistoryError::Malformed { key: key.to_owned() };
        let scalars = saved.get("scalars").and_then(Json::as_object).ok_or_else(|| malformed("scalars"))?;
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
