//! Random numbers that depend on a seed and a stream alone, on every machine and with any number of threads.
//! libtorch's generator is one for the whole process, so that drawing from it would tie one part to another.

/// SplitMix64 on a seed and a stream.
///
/// Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random { state: seed };
        random.state = random.next() ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        random.next();
        random
    }

    /// Any 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Even in [-bound, bound).
    pub(crate) fn symmetric(&mut self, bound: f64) -> f32 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((unit * 2.0 - 1.0) * bound) as f32
    }

    /// Even among low..=high.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let count = (high - low).max(0) as u64 + 1;
        low + (self.next() % count) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_and_stream_give_the_same_numbers_and_another_stream_others() {
        let draw = |stream| Random::new(7, stream).next();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn every_value_of_a_range_comes_up_and_none_outside() {
        let mut random = Random::new(1, 1);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[(random.between(4, 6) - 4) as usize] = true;
        }
        assert_eq!(seen, [true; 3]);
    }
}
