//! A loader's settings, and reading them from MMEngine's `dataloader` entries.
//! Knows nothing of data sets.

use serde_json::Value;
use snaphook_components::data::{
    self as declared, AspectRatioBatchSampler, Dataloader, PseudoCollate,
};
use snaphook_components::{Role, read, type_name};

use super::share::{Rank, Sharing};
use crate::DataError;

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
    /// Whether a last batch that is not full is left out; where ranks share each batch, one that all of them fill together.
    pub drop_last: bool,
    /// Whether samples are one stream without an end, cut into epochs of whole batches (`InfiniteSampler`).
    pub is_infinite: bool,
    /// In training, whether samples are repeated where all ranks would not get as many; otherwise those are left out.
    pub round_up: bool,
    /// Pictures in a row of each class, where classes come in turn (`ClassAwareSampler`).
    pub class_aware: Option<usize>,
    /// Whether batches are of pictures of one orientation (`AspectRatioBatchSampler`).
    pub is_grouped: bool,
    /// Seed of the order and of all transforms.
    pub seed: u64,
    /// This process among those that train together.
    pub rank: Rank,
    /// What these share.
    pub sharing: Sharing,
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
            is_infinite: false,
            round_up: true,
            class_aware: None,
            is_grouped: false,
            seed: 0,
            rank: Rank::default(),
            sharing: Sharing::default(),
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
        let declared: Dataloader = read(value, "dataloader")?;
        let given = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
        let or_default = |key: &str, found: usize, default: usize| {
            if given(key) { found } else { default }
        };
        let mut config = Self {
            batch_size: or_default("batch_size", declared.batch_size, defaults.batch_size),
            num_workers: or_default("num_workers", declared.num_workers, defaults.num_workers),
            drop_last: if given("drop_last") { declared.drop_last } else { defaults.drop_last },
            on_bad_image: match declared.on_bad_image.as_deref() {
                Some("skip") => OnBadImage::Skip,
                Some(_) => OnBadImage::Stop,
                None => defaults.on_bad_image,
            },
            ..defaults
        };
        if let Some(sampler) = &declared.sampler {
            config.read_sampler(sampler)?;
        }
        if let Some(sampler) = &declared.batch_sampler {
            read::<AspectRatioBatchSampler>(sampler, "dataloader.batch_sampler")?;
            config.is_grouped = true;
        }
        if let Some(collation) = &declared.collate_fn {
            read::<PseudoCollate>(collation, "dataloader.collate_fn")?;
        }
        Ok(config)
    }

    fn read_sampler(&mut self, value: &Value) -> Result<(), DataError> {
        if type_name(Role::DataSampler, value, SAMPLER)? == "ClassAwareSampler" {
            let declared: declared::ClassAwareSampler = read(value, SAMPLER)?;
            self.class_aware = Some(declared.num_sample_class);
            self.seed = declared.seed.unwrap_or(self.seed);
            return Ok(());
        }
        if type_name(Role::DataSampler, value, SAMPLER)? == "InfiniteSampler" {
            let declared: declared::InfiniteSampler = read(value, SAMPLER)?;
            self.is_infinite = true;
            self.shuffle = declared.shuffle;
            self.seed = declared.seed.unwrap_or(self.seed);
            return Ok(());
        }
        let declared: declared::DefaultSampler = read(value, SAMPLER)?;
        self.shuffle = declared.shuffle;
        self.round_up = declared.round_up;
        self.seed = declared.seed.unwrap_or(self.seed);
        Ok(())
    }
}

/// Where a sampler stands, for messages.
const SAMPLER: &str = "dataloader.sampler";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let message = |mut value: Value| {
            value["dataset"] = json!({});
            LoaderConfig::from_config(&value, LoaderConfig::default()).unwrap_err().to_string()
        };
        assert_eq!(
            message(json!({"batchsize": 8})),
            "dataloader.batchsize: unknown key (did you mean `batch_size`?)"
        );
        assert!(message(json!({"batch_size": 0})).contains("an integer of at least 1, found 0"));
        assert!(
            message(json!({"on_bad_image": "ignore"}))
                .contains("one of \"stop\", \"skip\" or null")
        );
        assert!(message(json!({"sampler": {"type": "DefaultSample"}})).contains("DefaultSampler"));
    }
}
