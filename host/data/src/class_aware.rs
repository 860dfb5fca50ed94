//! `ClassAwareSampler`: the classes in turn, whatever the number of their pictures.
//! Knows nothing of batches and processes.
//!
//! Source: MMDetection 3.3.0 `samplers/class_aware_sampler.py`; arXiv 1512.05830. We differ in the values of the shuffles:
//! they come from our own generator, not from torch's, and in sharing the samples out, which the loader does: MMDetection
//! gives each process a stretch of the order.

use crate::dataset::Dataset;
use crate::{DataError, SampleRng};

/// MMDetection's `ClassAwareSampler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassAwareSampler {
    /// The seed of the order.
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
    /// Errors: a data set in which nothing has a class, so that there is nothing to take in turn.
    pub(crate) fn check(dataset: &dyn Dataset) -> Result<(), DataError> {
        if (0..dataset.len()).any(|index| !dataset.record(index).labels().is_empty()) {
            return Ok(());
        }
        let reason = "ClassAwareSampler: expected a data set with objects, found none in it (use DefaultSampler)";
        Err(DataError::config("dataloader.sampler", reason))
    }

    /// As many samples as the data set has, in the order of an epoch; none of a data set without objects.
    pub fn order(self, dataset: &dyn Dataset, epoch: u64) -> Vec<usize> {
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
        let mut order = Vec::with_capacity(dataset.len() + self.num_sample_class);
        while order.len() < dataset.len() {
            let class = &mut pictures[classes.draw(&mut rng)];
            order.extend((0..self.num_sample_class).map(|_| class.draw(&mut rng)));
        }
        order.truncate(dataset.len());
        order
    }
}
