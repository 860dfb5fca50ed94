//! `ClassBalancedDataset`: pictures with rare classes come several times.
//! Knows nothing of what it wraps.
//!
//! Source: MMEngine 0.10.7 `dataset/dataset_wrapper.py`; arXiv 1908.03195, section 4.1.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Dataset, DatasetMeta, Draw};
use crate::{DataError, ImageRecord, Sample};

/// A data set of which some samples are repeated.
pub struct ClassBalancedDataset {
    inner: Arc<dyn Dataset>,
    /// Index in `inner` of each sample.
    indices: Arc<[usize]>,
}

impl ClassBalancedDataset {
    /// Repeats each sample `ceil(sqrt(oversample_thr / share))` times, where `share` is the share of pictures that its
    /// rarest class is in; classes in a larger share than `oversample_thr` are not repeated.
    pub fn new(inner: Arc<dyn Dataset>, oversample_thr: f64) -> Self {
        let classes: Vec<_> = (0..inner.len()).map(|index| inner.record(index).labels()).collect();
        let share = |class: &i64| {
            let pictures = classes.iter().filter(|own| own.contains(class)).count();
            pictures as f64 / classes.len() as f64
        };
        let all: BTreeSet<i64> = classes.iter().flatten().copied().collect();
        let factors: Vec<(i64, f64)> =
            all.iter().map(|class| (*class, (oversample_thr / share(class)).sqrt())).collect();
        let times = |own: &BTreeSet<i64>| {
            let own = factors.iter().filter(|(class, _)| own.contains(class));
            own.map(|(_, factor)| *factor).fold(1.0, f64::max).ceil() as usize
        };
        let indices = classes
            .iter()
            .enumerate()
            .flat_map(|(index, own)| std::iter::repeat_n(index, times(own)))
            .collect();
        Self { inner, indices }
    }

    fn around(&self, inner: Arc<dyn Dataset>) -> Arc<dyn Dataset> {
        Arc::new(Self { inner, indices: self.indices.clone() })
    }
}

impl Dataset for ClassBalancedDataset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn record(&self, index: usize) -> &Arc<ImageRecord> {
        self.inner.record(self.indices[index])
    }

    fn meta(&self) -> &DatasetMeta {
        self.inner.meta()
    }

    fn is_test_mode(&self) -> bool {
        self.inner.is_test_mode()
    }

    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError> {
        self.inner.sample(self.indices[index], draw)
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        self.around(self.inner.with_skip_types(types))
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(self.around(self.inner.with_pipeline(pipeline)?))
    }

    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(self.around(self.inner.with_scale(scale)?))
    }

    fn pipelines(&self) -> Vec<Vec<Value>> {
        self.inner.pipelines()
    }
}
