//! Random numbers that depend on nothing but (seed, epoch, position), or that were written down elsewhere.
//! Knows nothing of threads: that is why batches are the same whatever their number.
//!
//! The generator is SplitMix64, written out here because its values are part of the promise "the same
//! seed gives the same batches", which the values of a crate's samplers are not over its versions.

use std::collections::VecDeque;

/// Random numbers of one sample.
#[derive(Debug, Clone)]
pub struct SampleRng {
    state: u64,
    /// Results of draws, which come before those of `state`.
    recorded: VecDeque<f64>,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl SampleRng {
    /// A stream from a single seed.
    pub fn new(seed: u64) -> Self {
        Self { state: mix(seed.wrapping_add(GOLDEN_GAMMA)), recorded: VecDeque::new() }
    }

    /// Plays back the results of draws that another program made, each as the number that the draw gave:
    /// that is how a transform is compared with MMDetection's. Afterwards it is a stream of seed 0.
    pub fn recorded(draws: impl IntoIterator<Item = f64>) -> Self {
        Self { recorded: draws.into_iter().collect(), ..Self::new(0) }
    }

    /// Draws that were recorded and have not been asked for yet.
    pub fn recorded_left(&self) -> usize {
        self.recorded.len()
    }

    /// The stream of the sample at `position` of `epoch`; streams of different samples are unrelated.
    pub fn for_sample(seed: u64, epoch: u64, position: u64) -> Self {
        let with_epoch =
            mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ epoch.wrapping_mul(GOLDEN_GAMMA));
        let position = position.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03);
        Self { state: mix(with_epoch ^ position), recorded: VecDeque::new() }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        if let Some(draw) = self.recorded.pop_front() {
            return draw;
        }
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        match self.recorded.pop_front() {
            Some(draw) => draw,
            None => low + (high - low) * self.unit(),
        }
    }

    /// An index in 0..n; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        match self.recorded.pop_front() {
            Some(draw) => draw as usize,
            None => ((self.next_u64() as u128 * n as u128) >> 64) as usize,
        }
    }

    /// A whole number in low..high; `low` when that is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        match self.recorded.pop_front() {
            Some(draw) => draw as i64,
            None => low + self.below(usize::try_from(high - low).unwrap_or_default()) as i64,
        }
    }

    /// An index drawn with these probabilities; their number when what is missing to one was drawn.
    pub fn weighted(&mut self, probabilities: &[f64]) -> usize {
        if let Some(draw) = self.recorded.pop_front() {
            return draw as usize;
        }
        let mut left = self.unit();
        let drawn = probabilities.iter().position(|probability| {
            left -= probability;
            left < 0.0
        });
        drawn.unwrap_or(probabilities.len())
    }

    /// The numbers 0..N in a random order.
    pub fn permutation<const N: usize>(&mut self) -> [usize; N] {
        let mut order = std::array::from_fn(|i| i);
        if self.recorded.len() < N {
            self.shuffle(&mut order);
            return order;
        }
        order.map(|_| self.recorded.pop_front().unwrap_or_default() as usize)
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_seed_epoch_and_position() {
        let first = |s, e, p| SampleRng::for_sample(s, e, p).next_u64();
        let all = [first(0, 0, 0), first(1, 0, 0), first(0, 1, 0), first(0, 0, 1), first(0, 1, 1)];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(first(7, 3, 5), first(7, 3, 5));
    }

    #[test]
    fn values_are_fixed_for_ever() {
        let mut rng = SampleRng::new(0);
        assert_eq!(rng.next_u64(), 0xA706DD2F4D197E6F);
        assert_eq!(rng.next_u64(), 0xB382A305F4414F5E);
    }

    #[test]
    fn uniform_fills_its_range() {
        let mut rng = SampleRng::new(3);
        let values: Vec<f64> = (0..1000).map(|_| rng.uniform(-2.0, 4.0)).collect();
        assert!(values.iter().all(|v| (-2.0..4.0).contains(v)));
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!((mean - 1.0).abs() < 0.2, "{mean}");
    }

    #[test]
    fn recorded_draws_come_back_as_they_were() {
        let mut rng = SampleRng::recorded([0.25, -3.5, 7.0, -2.0, 1.0, 2.0, 0.0, 1.0]);
        assert_eq!((rng.unit(), rng.uniform(-9.0, 9.0), rng.below(8)), (0.25, -3.5, 7));
        assert_eq!((rng.between(-4, 4), rng.weighted(&[0.5, 0.5])), (-2, 1));
        assert_eq!((rng.permutation::<3>(), rng.recorded_left()), ([2, 0, 1], 0));
        assert_eq!(rng.next_u64(), SampleRng::new(0).next_u64());
    }

    #[test]
    fn weights_are_probabilities() {
        let mut rng = SampleRng::new(2);
        let mut counts = [0i32; 3];
        (0..3000).for_each(|_| counts[rng.weighted(&[0.2, 0.5])] += 1);
        for (count, expected) in counts.iter().zip([600, 1500, 900]) {
            assert!((count - expected).abs() < 120, "{counts:?}");
        }
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        SampleRng::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
