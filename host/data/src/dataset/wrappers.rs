//! `RepeatDataset` and `ConcatDataset`.
//! Knows nothing of what they wrap.

use std::sync::Arc;

use serde_json::Value;

use super::{Dataset, DatasetMeta, Draw};
use crate::{DataError, ImageRecord, Sample};

/// A data set several times in a row.
pub struct RepeatDataset {
    inner: Arc<dyn Dataset>,
    times: usize,
}

impl RepeatDataset {
    /// Repeats `inner`; 0 times makes it empty.
    pub fn new(inner: Arc<dyn Dataset>, times: usize) -> Self {
        Self { inner, times }
    }
}

impl Dataset for RepeatDataset {
    fn len(&self) -> usize {
        self.inner.len() * self.times
    }

    fn record(&self, index: usize) -> &Arc<ImageRecord> {
        self.inner.record(index % self.inner.len())
    }

    fn meta(&self) -> &DatasetMeta {
        self.inner.meta()
    }

    fn is_test_mode(&self) -> bool {
        self.inner.is_test_mode()
    }

    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError> {
        self.inner.sample(index % self.inner.len(), draw)
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        Arc::new(Self::new(self.inner.with_skip_types(types), self.times))
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(Arc::new(Self::new(self.inner.with_pipeline(pipeline)?, self.times)))
    }

    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(Arc::new(Self::new(self.inner.with_scale(scale)?, self.times)))
    }

    fn pipelines(&self) -> Vec<Vec<Value>> {
        self.inner.pipelines()
    }
}

/// Several data sets one after another.
pub struct ConcatDataset {
    parts: Vec<Arc<dyn Dataset>>,
}

impl ConcatDataset {
    /// Joins data sets.
    ///
    /// Errors: no data set, or different classes, for then one label would mean several things.
    pub fn new(parts: Vec<Arc<dyn Dataset>>) -> Result<Self, DataError> {
        let Some(first) = parts.first() else {
            return Err(DataError::config("ConcatDataset.datasets", "expected at least one"));
        };
        let classes = &first.meta().classes;
        match parts.iter().find(|p| p.meta().classes != *classes) {
            None => Ok(Self { parts }),
            Some(other) => Err(DataError::config(
                "ConcatDataset.datasets",
                format!(
                    "expected the same classes, found {classes:?} and {:?}",
                    other.meta().classes
                ),
            )),
        }
    }

    fn locate(&self, mut index: usize) -> (&Arc<dyn Dataset>, usize) {
        let last = self.parts.len() - 1;
        for part in &self.parts[..last] {
            if index < part.len() {
                return (part, index);
            }
            index -= part.len();
        }
        (&self.parts[last], index)
    }
}

impl Dataset for ConcatDataset {
    fn len(&self) -> usize {
        self.parts.iter().map(|p| p.len()).sum()
    }

    fn record(&self, index: usize) -> &Arc<ImageRecord> {
        let (part, index) = self.locate(index);
        part.record(index)
    }

    fn meta(&self) -> &DatasetMeta {
        self.parts[0].meta()
    }

    fn is_test_mode(&self) -> bool {
        self.parts[0].is_test_mode()
    }

    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError> {
        let (part, index) = self.locate(index);
        part.sample(index, draw)
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        Arc::new(Self { parts: self.parts.iter().map(|p| p.with_skip_types(types)).collect() })
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        let parts =
            self.parts.iter().map(|p| p.with_pipeline(pipeline)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { parts }))
    }

    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError> {
        let parts = self.parts.iter().map(|p| p.with_scale(scale)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { parts }))
    }

    fn pipelines(&self) -> Vec<Vec<Value>> {
        self.parts.iter().flat_map(|part| part.pipelines()).collect()
    }
}
