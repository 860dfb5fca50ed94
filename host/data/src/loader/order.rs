//! Which samples an epoch has, and which of them this process makes with which random numbers: the same samples with the
//! same numbers, whatever the number of processes. Knows nothing of threads.

use super::LoaderConfig;
use super::grouping::grouped;
use super::share::{Share, Sharing};
use crate::class_aware::ClassAwareSampler;
use crate::dataset::Dataset;
use crate::sampler::{DefaultSampler, InfiniteSampler};

/// A sample that this process makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// In the data set.
    pub(super) index: usize,
    /// The pass through the data and the place in it, which its random numbers depend on.
    pub(super) drawn_for: (u64, u64),
}

impl LoaderConfig {
    pub(super) fn share(&self) -> Share {
        Share { sharing: self.sharing, rank: self.rank, batch_size: self.batch_size }
    }

    /// Samples of an epoch over all ranks: those that are repeated count again, those that are left out do not.
    fn samples_of_all(&self, samples: usize) -> usize {
        let (joint, world) = (self.share().joint_batch(), self.rank.world);
        let in_full_batches = samples / joint * joint;
        match self.sharing {
            _ if samples == 0 => 0,
            _ if self.is_infinite => in_full_batches.max(joint),
            _ if self.drop_last => in_full_batches,
            Sharing::Samples if self.round_up => samples.next_multiple_of(world),
            // All ranks must have as many.
            Sharing::Samples => samples / world * world,
            Sharing::Batches => samples,
        }
    }

    /// Batches of an epoch of a data set of this size, over all ranks; those that ranks share are one.
    pub(super) fn batches_of_all(&self, samples: usize) -> usize {
        self.samples_of_all(samples).div_ceil(self.share().joint_batch())
    }

    /// Batches of an epoch of a data set of this size, on this rank.
    ///
    /// An endless stream has as many as the data set has whole batches of all ranks, at least one. We differ from MMEngine,
    /// whose `len(dataloader)` counts those of one rank, so that its epochs are longer the more ranks there are.
    pub fn batches(&self, samples: usize) -> usize {
        self.share().of_batches(self.batches_of_all(samples))
    }

    /// What this rank makes in an epoch of a data set, in order.
    pub(super) fn turns(&self, dataset: &dyn Dataset, epoch: u64) -> Vec<Turn> {
        let (samples, all) = (dataset.len(), self.samples_of_all(dataset.len()));
        let first = epoch * all as u64;
        let mut order = match self.class_aware {
            Some(num_sample_class) => {
                ClassAwareSampler { seed: self.seed, num_sample_class }.order(dataset, epoch)
            }
            None if self.is_infinite => {
                let stream = InfiniteSampler { shuffle: self.shuffle, seed: self.seed };
                stream.stretch(samples, first, all)
            }
            None => DefaultSampler { shuffle: self.shuffle, seed: self.seed }.order(samples, epoch),
        };
        if self.is_grouped {
            let is_wide = |index: usize| {
                let record = dataset.record(index);
                record.width >= record.height
            };
            order = grouped(&order, self.share().joint_batch(), is_wide);
        }
        if order.is_empty() {
            return Vec::new();
        }
        let drawn_for = |place: usize| match first + place as u64 {
            in_stream if self.is_infinite => {
                (in_stream / samples as u64, in_stream % samples as u64)
            }
            _ => (epoch, place as u64),
        };
        let turn =
            |place: usize| Turn { index: order[place % order.len()], drawn_for: drawn_for(place) };
        self.share().places(all).map(turn).collect()
    }
}
