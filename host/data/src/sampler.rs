//! The order of samples in an epoch, as a pure function of seed, epoch, rank and world size.
//! Knows nothing of what the samples are; any position can be asked for without those before it.
//!
//! Source: MMEngine 0.10.7 `dataset/sampler.py`, `DefaultSampler` with `round_up=True` and `InfiniteSampler`. We differ
//! in the values of the shuffle: they come from our own generator, not from torch's.

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

/// MMEngine's `InfiniteSampler`: one order after the other without an end, whole batches across their borders.
///
/// Its epochs are stretches of this stream, as long as the data set is in whole batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfiniteSampler {
    /// Whether each order is random.
    pub shuffle: bool,
    /// The seed of the orders; the same on all ranks.
    pub seed: u64,
}

impl InfiniteSampler {
    /// The samples of a rank in an epoch of `own` samples.
    pub fn indices(&self, len: usize, own: usize, epoch: u64, rank: Rank) -> Vec<usize> {
        let Some(len) = Some(len as u64).filter(|len| *len > 0) else { return Vec::new() };
        let first = epoch * own as u64;
        let place = |at: u64| (first + at) * rank.world as u64 + rank.rank as u64;
        let mut order = (u64::MAX, Vec::new());
        let sample = |at: u64| {
            let (pass, within) = (place(at) / len, (place(at) % len) as usize);
            if order.0 != pass {
                let single =
                    DefaultSampler { shuffle: self.shuffle, seed: self.seed, round_up: true };
                order = (pass, single.indices(len as usize, pass, Rank::default()));
            }
            order.1[within]
        };
        (0..own as u64).map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_stream_goes_on_across_epochs_and_is_shared_by_ranks() {
        let sampler = InfiniteSampler { shuffle: true, seed: 5 };
        let whole: Vec<usize> =
            (0..5).flat_map(|epoch| sampler.indices(5, 4, epoch, Rank::default())).collect();
        // Twenty samples in epochs of four are four passes through five.
        for pass in whole.chunks(5) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_ne!(whole[..5], whole[5..10]);
        let of = |rank| sampler.indices(5, 10, 0, Rank { rank, world: 2 });
        let interleaved: Vec<usize> =
            of(0).into_iter().zip(of(1)).flat_map(|(even, odd)| [even, odd]).collect();
        assert_eq!(interleaved, whole);
    }

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
