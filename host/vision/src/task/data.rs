//! The loader of `snaphook-data` as the runner's source of batches.

use std::sync::OnceLock;

use serde_json::Value as Json;
use snaphook_data::{EpochBatches, Loader};
use snaphook_runner::{AnyBatch, BoxError, DataSource, Order, Rest};

/// Batches of pictures with boxes; each is a [`snaphook_data::Batch`].
pub struct DetectionData {
    loader: Loader,
    running: Option<EpochBatches>,
    sampler_epoch: Option<u64>,
    fingerprint: OnceLock<String>,
}

impl DetectionData {
    /// Reads nothing yet.
    pub fn new(loader: Loader) -> DetectionData {
        DetectionData { loader, running: None, sampler_epoch: None, fingerprint: OnceLock::new() }
    }

    /// The loader behind it.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }
}

impl DataSource for DetectionData {
    fn batches(&self) -> usize {
        usize::try_from(self.loader.len()).unwrap_or(usize::MAX)
    }

    fn samples(&self) -> usize {
        self.loader.dataset_len()
    }

    fn batches_of_all(&self) -> usize {
        self.loader.batches_of_all()
    }

    fn share_of(&self, batches: usize) -> usize {
        self.loader.share_of(batches)
    }

    fn order(&self) -> Order {
        let config = self.loader.config();
        let rest = match (config.drop_last, config.round_up) {
            (true, _) => Rest::Dropped,
            (false, true) => Rest::Repeated,
            (false, false) => Rest::Shared,
        };
        match (config.is_grouped, config.is_infinite) {
            (false, false) => Order::Passes(rest),
            (false, true) => Order::Stream,
            (true, false) => Order::Steps(rest),
            (true, true) => Order::Steps(Rest::Dropped),
        }
    }

    /// An epoch set with `set_epoch` since the last start goes before `epoch`.
    fn start_epoch(&mut self, epoch: u64, start: u64) -> Result<(), BoxError> {
        self.end_epoch();
        let epoch = self.sampler_epoch.take().unwrap_or(epoch);
        self.running = Some(self.loader.epoch(epoch, start));
        Ok(())
    }

    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
        let batch = self.running.as_mut()?.next()?;
        Some(batch.map(|batch| Box::new(batch) as AnyBatch).map_err(BoxError::from))
    }

    fn end_epoch(&mut self) {
        self.running = None;
    }

    fn meta(&self) -> Json {
        self.loader.dataset().meta().to_json()
    }

    fn fingerprint(&self) -> Option<String> {
        let of = || snaphook_data::fingerprint(&*self.loader.dataset());
        Some(self.fingerprint.get_or_init(of).clone())
    }

    fn set_epoch(&mut self, epoch: u64) {
        self.sampler_epoch = Some(epoch);
    }

    fn skip_transforms(&mut self, types: &[String]) -> Result<(), BoxError> {
        self.loader.set_skip_types(types);
        Ok(())
    }

    fn set_pipeline(&mut self, pipeline: &Json) -> Result<(), BoxError> {
        Ok(self.loader.set_pipeline(pipeline)?)
    }

    fn set_scale(&mut self, scale: [u64; 2]) -> Result<(), BoxError> {
        Ok(self.loader.set_scale(scale)?)
    }

    fn pipelines(&self) -> Vec<Json> {
        self.loader.dataset().pipelines().into_iter().map(Json::Array).collect()
    }
}
