//! A loader's settings, and reading them from MMEngine's `dataloader` entries.
//! Knows nothing of data sets.

use serde_json::{Value, json};

use crate::DataError;
use crate::kwargs::{Kwargs, unknown_type};
use crate::sampler::{DefaultSampler, Rank};

/// What happens when a picture cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadImage {
    /// The epoch ends with the error, which names the picture.
    #[default]
    Stop,
    /// A warning names the picture, once. In training another sample takes its place, in validation and
    /// test the batch is one shorter.
    Skip,
}

/// A loader's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples in a batch, above 0.
    pub batch_size: usize,
    /// Threads that make samples; 0: the caller's.
    pub num_workers: usize,
    /// Whether each epoch has its own random order.
    pub shuffle: bool,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// Whether the sampler repeats samples so that all ranks get the same number.
    pub round_up: bool,
    /// Seed of the order and of all transforms.
    pub seed: u64,
    /// This process among those that train together.
    pub rank: Rank,
    /// What happens when a picture cannot be read.
    pub on_bad_image: OnBadImage,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 1,
            num_workers: 0,
            shuffle: false,
            drop_last: false,
            round_up: true,
            seed: 0,
            rank: Rank::default(),
            on_bad_image: OnBadImage::Stop,
        }
    }
}

impl LoaderConfig {
    /// Reads a `*_dataloader` entry; what it does not say is as in `defaults`. `dataset` is not looked at.
    /// `on_bad_image` (`"stop"` or `"skip"`) is a keyword of ours.
    ///
    /// Errors: an unknown keyword or sampler, a wrong value.
    pub fn from_config(value: &Value, defaults: Self) -> Result<Self, DataError> {
        let mut kwargs = Kwargs::of_object("dataloader", value)?;
        kwargs.ignore(&["dataset", "persistent_workers", "pin_memory", "prefetch_factor"]);
        kwargs.ignore(&["multiprocessing_context", "timeout", "worker_init_fn"]);
        kwargs.only("collate_fn", &[json!({"type": "pseudo_collate"})])?;
        kwargs.only("batch_sampler", &[json!({"type": "AspectRatioBatchSampler"})])?;
        let mut config = Self {
            batch_size: kwargs.get("batch_size", defaults.batch_size)?,
            num_workers: kwargs.get("num_workers", defaults.num_workers)?,
            drop_last: kwargs.get("drop_last", defaults.drop_last)?,
            ..defaults
        };
        kwargs.check(
            "batch_size",
            config.batch_size > 0,
            "expected above 0, found 0".to_owned(),
        )?;
        config.on_bad_image = match kwargs.optional::<String>("on_bad_image")?.as_deref() {
            None => defaults.on_bad_image,
            Some("stop") => OnBadImage::Stop,
            Some("skip") => OnBadImage::Skip,
            Some(other) => {
                let reason = format!("expected \"stop\" or \"skip\", found {other:?}");
                return Err(kwargs.wrong("on_bad_image", reason));
            }
        };
        if let Some(sampler) = kwargs.value("sampler") {
            config.read_sampler(sampler)?;
        }
        kwargs.finish()?;
        Ok(config)
    }

    fn read_sampler(&mut self, value: &Value) -> Result<(), DataError> {
        let (name, mut kwargs) = Kwargs::of_typed("sampler", value)?;
        if name != "DefaultSampler" {
            return Err(unknown_type("sampler", name, &["DefaultSampler"]));
        }
        self.shuffle = kwargs.get("shuffle", true)?;
        self.round_up = kwargs.get("round_up", true)?;
        self.seed = kwargs.get("seed", self.seed)?;
        kwargs.finish()
    }

    /// The order of samples that these settings mean.
    pub fn sampler(&self) -> DefaultSampler {
        DefaultSampler { shuffle: self.shuffle, seed: self.seed, round_up: self.round_up }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mmdetection_entry_is_read() {
        let value = json!({"batch_size": 8, "num_workers": 4, "persistent_workers": true,
            "sampler": {"type": "DefaultSampler", "shuffle": true}, "dataset": {}});
        let config =
            LoaderConfig::from_config(&value, LoaderConfig { seed: 3, ..Default::default() })
                .unwrap();
        assert_eq!(
            (config.batch_size, config.num_workers, config.shuffle, config.seed),
            (8, 4, true, 3)
        );
    }

    #[test]
    fn wrong_entries_are_refused_with_the_nearest_name() {
        let message = |value| {
            LoaderConfig::from_config(&value, LoaderConfig::default()).unwrap_err().to_string()
        };
        assert_eq!(
            message(json!({"batchsize": 8})),
            "dataloader: unknown keyword batchsize (did you mean batch_size?)"
        );
        assert!(message(json!({"batch_size": 0})).contains("expected above 0"));
        assert!(message(json!({"on_bad_image": "ignore"})).contains("\"stop\" or \"skip\""));
        assert!(message(json!({"sampler": {"type": "DefaultSample"}})).contains("DefaultSampler"));
    }
}
