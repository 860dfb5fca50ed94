//! `MultiImageMixDataset`: a pipeline whose transforms may use several samples of another data set.
//! Knows nothing of mosaics; a transform says which partners it wants.
//!
//! Source: MMDetection 3.3.0 `datasets/dataset_wrappers.py`. We differ where a transform drops a sample:
//! MMDetection repeats that transform 15 times on the same input, we draw another sample.

use std::sync::Arc;

use serde_json::Value;

use super::{Dataset, DatasetMeta, Draw, draw_usable};
use crate::cache::ImageCache;
use crate::transform::{Pipeline, Surroundings};
use crate::{DataError, ImageRecord, Sample};

/// A data set with a second, mixing pipeline.
pub struct MultiImageMixDataset {
    inner: Arc<dyn Dataset>,
    pipeline: Pipeline,
    images: Arc<ImageCache>,
}

impl MultiImageMixDataset {
    /// Puts a pipeline around a data set.
    pub fn new(inner: Arc<dyn Dataset>, pipeline: Pipeline) -> Self {
        Self { inner, pipeline, images: Arc::new(ImageCache::new(0)) }
    }
}

impl Dataset for MultiImageMixDataset {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn record(&self, index: usize) -> &Arc<ImageRecord> {
        self.inner.record(index)
    }

    fn meta(&self) -> &DatasetMeta {
        self.inner.meta()
    }

    fn is_test_mode(&self) -> bool {
        self.inner.is_test_mode()
    }

    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError> {
        let Some(mut sample) = draw_usable(&*self.inner, index, draw)? else { return Ok(None) };
        for transform in self.pipeline.active() {
            let mut partners = Vec::new();
            for partner in transform.partners(&*self.inner, &mut draw.rng) {
                partners.extend(draw_usable(&*self.inner, partner, draw)?);
            }
            let mut around = Surroundings { rng: &mut draw.rng, images: &self.images, partners };
            match transform.apply(sample, &mut around)? {
                Some(changed) => sample = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(sample))
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        Arc::new(Self::new(self.inner.clone(), self.pipeline.skipping(types)))
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        let pipeline = Pipeline::from_config("MultiImageMixDataset.pipeline", pipeline)?;
        let pipeline = pipeline.in_place_of(&self.pipeline)?;
        Ok(Arc::new(Self::new(self.inner.clone(), pipeline)))
    }

    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(Arc::new(Self::new(self.inner.clone(), self.pipeline.resized(scale)?)))
    }

    fn pipelines(&self) -> Vec<Vec<Value>> {
        vec![self.pipeline.entries()]
    }
}
