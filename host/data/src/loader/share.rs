//! Who makes what: how processes share the samples of an epoch, by their places in the order of all.
//! Knows nothing of what the samples are, and of their order.

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

/// What processes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// The samples of each batch: N processes with batches of B samples go through those of a single process with batches of
    /// N B samples, in as many steps each. For training.
    #[default]
    Samples,
    /// The batches of a single process, whole: each has pictures that it had there. Some processes may have one more, or
    /// none at all. For evaluations.
    Batches,
}

/// The share of one process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) sharing: Sharing,
    pub(super) rank: Rank,
    /// Samples in a batch of one process.
    pub(super) batch_size: usize,
}

impl Share {
    /// Samples that make a batch of all.
    pub(super) fn joint_batch(self) -> usize {
        match self.sharing {
            Sharing::Samples => self.batch_size * self.rank.world,
            Sharing::Batches => self.batch_size,
        }
    }

    /// How many of the first `batches` of all are, or have a part that is, this process's.
    pub(super) fn of_batches(self, batches: usize) -> usize {
        match self.sharing {
            Sharing::Samples => batches,
            Sharing::Batches => batches.saturating_sub(self.rank.rank).div_ceil(self.rank.world),
        }
    }

    /// The places of this process's samples among `all`, in the order in which it makes them.
    pub(super) fn places(self, all: usize) -> impl Iterator<Item = usize> {
        let Rank { rank, world } = self.rank;
        let place = move |at: usize| match self.sharing {
            Sharing::Samples => at * world + rank,
            Sharing::Batches => {
                (at / self.batch_size * world + rank) * self.batch_size + at % self.batch_size
            }
        };
        (0..).map(place).take_while(move |place| *place < all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(sharing: Sharing, rank: usize, all: usize) -> Vec<usize> {
        let share = Share { sharing, rank: Rank { rank, world: 3 }, batch_size: 2 };
        let own: Vec<usize> = share.places(all).collect();
        let batches = all.div_ceil(share.joint_batch());
        assert_eq!(own.len().div_ceil(2), share.of_batches(batches));
        own
    }

    #[test]
    fn a_step_is_shared_sample_by_sample() {
        let of = |rank| places(Sharing::Samples, rank, 9);
        assert_eq!([of(0), of(1), of(2)], [[0, 3, 6], [1, 4, 7], [2, 5, 8]]);
    }

    #[test]
    fn an_evaluation_is_shared_batch_by_batch() {
        let of = |rank| places(Sharing::Batches, rank, 9);
        assert_eq!([of(0), of(1), of(2)], [vec![0, 1, 6, 7], vec![2, 3, 8], vec![4, 5]]);
        let of = |rank| places(Sharing::Batches, rank, 3);
        assert_eq!([of(0), of(1), of(2)], [vec![0, 1], vec![2], vec![]]);
    }
}
