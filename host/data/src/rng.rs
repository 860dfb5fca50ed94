//! Random numbers that depend on nothing but (seed, epoch, position).
//! Knows nothing of threads: that is why batches are the same whatever their number.
//!
//! The generator is SplitMix64, written out here because its values are part of the promise "the same
//! seed gives the same batches", which the values of a crate's samplers are not over its versions.

/// Random numbers of one sample.
#[derive(Debug, Clone)]
pub struct SampleRng {
    state: u64,
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
        Self { state: mix(seed.wrapping_add(GOLDEN_GAMMA)) }
    }

    /// The stream of the sample at `position` of `epoch`; streams of different samples are unrelated.
    pub fn for_sample(seed: u64, epoch: u64, position: u64) -> Self {
        let with_epoch =
            mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ epoch.wrapping_mul(GOLDEN_GAMMA));
        Self {
            state: mix(with_epoch ^ position.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03)),
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// An index in 0..n; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.next_u64() as u128 * n as u128) >> 64) as usize
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
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        SampleRng::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
