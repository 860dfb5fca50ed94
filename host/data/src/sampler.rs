//! The order of samples in an epoch, as a pure function of seed, epoch, rank and world size.
//! Knows nothing of what the samples are; any position can be asked for without those before it.
//!
//! Source: MMEngine 0.10.7 `dataset/sampler.py`, `DefaultSampler` with `round_up=True`. We differ in the
//! values of the shuffle: they come from our own generator, not from torch's.

use crate::SampleRng;

/// MMEngine's `DefaultSampler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultSampler {
    /// Whether the order is random.
    pub shuffle: bool,
    /// The seed of the order; the same on all ranks.
    pub seed: u64,
    /// Whether samples are repeated until every rank has the same number.
    pub round_up: bool,
}

/// A process among those that train together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
}

impl Default for Rank {
    fn default() -> Self {
        Self { rank: 0, world: 1 }
    }
}

impl DefaultSampler {
    /// How many samples a rank gets of `len`.
    pub fn len(&self, len: usize, rank: Rank) -> usize {
        if self.round_up {
            len.div_ceil(rank.world)
        } else {
            len.saturating_sub(rank.rank).div_ceil(rank.world)
        }
    }

    /// The samples of a rank in an epoch, in order.
    pub fn indices(&self, len: usize, epoch: u64, rank: Rank) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        if self.shuffle {
            SampleRng::for_sample(self.seed, epoch, u64::MAX).shuffle(&mut order);
        }
        let own = self.len(len, rank);
        (0..own).map(|i| order[(i * rank.world + rank.rank) % len]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(shuffle: bool, round_up: bool) -> DefaultSampler {
        DefaultSampler { shuffle, seed: 5, round_up }
    }

    #[test]
    fn ranks_share_the_samples_and_round_up() {
        let of = |rank, round_up| sampler(false, round_up).indices(5, 0, Rank { rank, world: 2 });
        assert_eq!((of(0, true), of(1, true)), (vec![0, 2, 4], vec![1, 3, 0]));
        assert_eq!((of(0, false), of(1, false)), (vec![0, 2, 4], vec![1, 3]));
    }

    #[test]
    fn every_epoch_has_its_own_order_of_the_same_samples() {
        let of = |epoch| sampler(true, true).indices(50, epoch, Rank::default());
        assert_ne!(of(0), of(1));
        assert_eq!(of(3), of(3));
        let mut sorted = of(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn more_ranks_than_samples_still_get_one_each() {
        let of = |rank| sampler(true, true).indices(2, 0, Rank { rank, world: 5 }).len();
        assert!((0..5).all(|rank| of(rank) == 1));
    }
}
