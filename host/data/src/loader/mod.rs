//! Batches, made ahead by threads, in an order that does not depend on them.
//! Knows nothing of models and devices.

mod bound;
mod config;
mod epoch;
mod grouping;
mod order;
mod queue;
mod share;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

pub use config::{LoaderConfig, OnBadImage};
pub use epoch::EpochBatches;
pub use share::{Rank, Sharing};

use bound::Bound;

use crate::class_aware::ClassAwareSampler;
use crate::dataset::{BadImages, Dataset, build_dataset};
use crate::{DataError, Sample};

/// Samples that go through the model together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The samples; their pictures may differ in size.
    pub samples: Vec<Sample>,
    /// Number of the batch in its epoch, from 0.
    pub index: u64,
}

/// Makes batches of a data set.
pub struct Loader {
    dataset: Mutex<Arc<dyn Dataset>>,
    config: LoaderConfig,
    bad_images: Arc<BadImages>,
    /// What the last epoch that said so was bound by.
    bound: Arc<Mutex<Option<Bound>>>,
}

impl Loader {
    /// A loader; nothing is read before [`Loader::epoch`].
    pub fn new(dataset: Arc<dyn Dataset>, config: LoaderConfig) -> Self {
        let (bad_images, bound) = Default::default();
        Self { dataset: Mutex::new(dataset), config, bad_images, bound }
    }

    /// Builds loader and data set from a `*_dataloader` entry. `defaults` gives what the entry does not
    /// say, and seed, rank and world.
    ///
    /// Errors: as [`build_dataset`]; an unknown keyword or sampler; classes in turn where there are none.
    pub fn from_config(value: &Value, defaults: LoaderConfig) -> Result<Self, DataError> {
        let config = LoaderConfig::from_config(value, defaults)?;
        let Some(dataset) = value.get("dataset") else {
            return Err(DataError::config("dataloader.dataset", "expected a data set, found none"));
        };
        let dataset = build_dataset(dataset)?;
        if config.class_aware.is_some() {
            ClassAwareSampler::check(dataset.as_ref())?;
        }
        Ok(Self::new(dataset, config))
    }

    /// The same, whose whole batches are shared by ranks, with no sample twice: for evaluations.
    pub fn sharing_batches(self) -> Self {
        Self { config: LoaderConfig { sharing: Sharing::Batches, ..self.config }, ..self }
    }

    /// The data set that the next epoch will use.
    pub fn dataset(&self) -> Arc<dyn Dataset> {
        self.dataset.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Batches in an epoch, on this rank.
    pub fn len(&self) -> u64 {
        self.config.batches(self.dataset_len()) as u64
    }

    /// Batches in an epoch over all ranks; one that they share sample by sample counts once.
    pub fn batches_of_all(&self) -> usize {
        self.config.batches_of_all(self.dataset_len())
    }

    /// How many of the first `batches` of [`Loader::batches_of_all`] this rank makes, or makes a part of.
    pub fn share_of(&self, batches: usize) -> usize {
        self.config.share().of_batches(batches)
    }

    /// True if an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Samples in the data set, over all ranks.
    pub fn dataset_len(&self) -> usize {
        self.dataset().len()
    }

    /// Different broken pictures left out so far.
    pub fn bad_image_count(&self) -> usize {
        self.bad_images.count()
    }

    /// From the next epoch on, leaves out transforms of these types (`[]`: none).
    pub fn set_skip_types(&self, types: &[String]) {
        let mut dataset = self.dataset.lock().unwrap_or_else(PoisonError::into_inner);
        *dataset = dataset.with_skip_types(types);
    }

    /// From the next epoch on, uses another pipeline.
    ///
    /// Errors: an unknown transform or keyword; then nothing changes.
    pub fn set_pipeline(&self, pipeline: &Value) -> Result<(), DataError> {
        let mut dataset = self.dataset.lock().unwrap_or_else(PoisonError::into_inner);
        *dataset = dataset.with_pipeline(pipeline)?;
        Ok(())
    }

    /// From the next epoch on, makes pictures of another size, (width, height), whatever pipelines are or come into force.
    ///
    /// Errors: a transform that refuses the size; then nothing changes.
    pub fn set_scale(&self, scale: [u64; 2]) -> Result<(), DataError> {
        let mut dataset = self.dataset.lock().unwrap_or_else(PoisonError::into_inner);
        *dataset = dataset.with_scale(scale)?;
        Ok(())
    }

    /// The batches of an epoch from `start_batch` on. The same numbers give the same batches, however
    /// many threads there are. Dropping the iterator ends its threads. After an error it is at its end.
    pub fn epoch(&self, epoch: u64, start_batch: u64) -> EpochBatches {
        EpochBatches::start(self, epoch, start_batch)
    }
}
