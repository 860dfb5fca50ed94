//! The order of samples in an epoch, as a pure function of seed and epoch.
//! Knows nothing of what the samples are, and of processes: the loader shares them out.
//!
//! Source: MMEngine 0.10.7 `dataset/sampler.py`, `DefaultSampler` and `InfiniteSampler`. We differ in the values of the
//! shuffle: they come from our own generator, not from torch's.

use crate::SampleRng;

/// MMEngine's `DefaultSampler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultSampler {
    /// Whether the order is random.
    pub shuffle: bool,
    /// The seed of the order.
    pub seed: u64,
}

impl DefaultSampler {
    /// Each of `len` samples once.
    pub fn order(&self, len: usize, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        if self.shuffle {
            SampleRng::for_sample(self.seed, epoch, u64::MAX).shuffle(&mut order);
        }
        order
    }
}

/// MMEngine's `InfiniteSampler`: one order after the other without an end, whole batches across their borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfiniteSampler {
    /// Whether each order is random.
    pub shuffle: bool,
    /// The seed of the orders.
    pub seed: u64,
}

impl InfiniteSampler {
    /// `count` samples of the stream over `len` of them, from the one at `first` on; none of an empty data set.
    pub fn stretch(&self, len: usize, first: u64, count: usize) -> Vec<usize> {
        let Some(passes) = Some(len as u64).filter(|len| *len > 0) else { return Vec::new() };
        let single = DefaultSampler { shuffle: self.shuffle, seed: self.seed };
        let mut running = (u64::MAX, Vec::new());
        let sample = |at: u64| {
            let (pass, within) = (at / passes, (at % passes) as usize);
            if running.0 != pass {
                running = (pass, single.order(len, pass));
            }
            running.1[within]
        };
        (first..first + count as u64).map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_one_pass_after_the_other_wherever_it_is_entered() {
        let sampler = InfiniteSampler { shuffle: true, seed: 5 };
        let whole = sampler.stretch(5, 0, 20);
        for pass in whole.chunks(5) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_ne!(whole[..5], whole[5..10]);
        assert_eq!(sampler.stretch(5, 7, 6), whole[7..13]);
        assert!(sampler.stretch(0, 0, 4).is_empty());
    }

    #[test]
    fn every_epoch_has_its_own_order_of_the_same_samples() {
        let of = |epoch| DefaultSampler { shuffle: true, seed: 5 }.order(50, epoch);
        assert_ne!(of(0), of(1));
        assert_eq!(of(3), of(3));
        let mut sorted = of(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(DefaultSampler { shuffle: false, seed: 5 }.order(3, 9), [0, 1, 2]);
    }
}
