//! `ClassAwareSampler`: the classes in turn, whatever the number of their pictures.
//! Knows nothing of batches.
//!
//! Source: MMDetection 3.3.0 `samplers/class_aware_sampler.py`; arXiv 1512.05830. We differ in the values of the shuffles:
//! they come from our own generator, not from torch's.

use crate::dataset::Dataset;
use crate::{DataError, Rank, SampleRng};

/// MMDetection's `ClassAwareSampler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassAwareSampler {
    /// The seed of the order; the same on all ranks.
    pub seed: u64,
    /// Pictures in a row of the same class.
    pub num_sample_class: usize,
}

/// A shuffled list, shuffled anew each time that it is used up.
struct Cycle {
    items: Vec<usize>,
    next: usize,
}

impl Cycle {
    fn new(items: Vec<usize>) -> Self {
        Self { next: items.len(), items }
    }

    fn draw(&mut self, rng: &mut SampleRng) -> usize {
        if self.next == self.items.len() {
            rng.shuffle(&mut self.items);
            self.next = 0;
        }
        self.next += 1;
        self.items[self.next - 1]
    }
}

impl ClassAwareSampler {
    /// How many samples a rank gets of `len`.
    pub fn len(self, len: usize, rank: Rank) -> usize {
        len.div_ceil(rank.world)
    }

    /// Errors: a data set in which nothing has a class, so that there is nothing to take in turn.
    pub(crate) fn check(dataset: &dyn Dataset) -> Result<(), DataError> {
        if (0..dataset.len()).any(|index| !dataset.record(index).labels().is_empty()) {
            return Ok(());
        }
        let reason = "ClassAwareSampler: expected a data set with objects, found none in it (use DefaultSampler)";
        Err(DataError::config("dataloader.sampler", reason))
    }

    /// The samples of a rank in an epoch, in order; none of a data set without objects.
    pub fn indices(self, dataset: &dyn Dataset, epoch: u64, rank: Rank) -> Vec<usize> {
        let mut pictures = vec![Vec::new(); dataset.meta().classes.len()];
        for index in 0..dataset.len() {
            for label in dataset.record(index).labels() {
                let own = usize::try_from(label).ok().and_then(|label| pictures.get_mut(label));
                own.into_iter().for_each(|own| own.push(index));
            }
        }
        let mut pictures: Vec<Cycle> =
            pictures.into_iter().filter(|own| !own.is_empty()).map(Cycle::new).collect();
        if pictures.is_empty() {
            return Vec::new();
        }
        let mut rng = SampleRng::for_sample(self.seed, epoch, u64::MAX);
        let mut classes = Cycle::new((0..pictures.len()).collect());
        let own = self.len(dataset.len(), rank);
        let mut order = Vec::with_capacity(own * rank.world);
        while order.len() < own * rank.world {
            let class = &mut pictures[classes.draw(&mut rng)];
            order.extend((0..self.num_sample_class).map(|_| class.draw(&mut rng)));
        }
        order[rank.rank * own..][..own].to_vec()
    }
}
