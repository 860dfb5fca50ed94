//! Random numbers that depend on a seed and a stream alone, on every machine and with any number of threads.
//! libtorch's generator is one for the whole process, so that drawing from it would tie one part to another.

use snaphook_runner::StepContext;

/// What numbers of a training step are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Which anchors take part.
    Anchors = 0x4100,
    /// Which regions take part.
    Regions = 0x5200,
}

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

    /// Numbers for a picture of a training step.
    pub(crate) fn of(context: &StepContext, stream: Stream, picture: usize) -> Random {
        let step = ((stream as u64) << 48) ^ (context.iter << 16) ^ picture as u64;
        Random::new(context.seed, step)
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

    /// Normal, of mean 0 and deviation 1.
    ///
    /// Source: Box and Muller 1958.
    pub(crate) fn normal(&mut self) -> f64 {
        let unit = |bits: u64| ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let (radius, angle) = (unit(self.next()), unit(self.next()));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// So many of the items, in their order.
    pub(crate) fn choose(&mut self, mut items: Vec<usize>, count: usize) -> Vec<usize> {
        if items.len() <= count {
            return items;
        }
        for place in 0..count {
            let other = self.between(place as i64, items.len() as i64 - 1) as usize;
            items.swap(place, other);
        }
        items.truncate(count);
        items.sort_unstable();
        items
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
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(2, 3);
        let numbers: Vec<f64> = (0..4000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 4000.0;
        let square = numbers.iter().map(|number| number * number).sum::<f64>() / 4000.0;
        // Three deviations of a mean of 4000 are 0.05, of a square 0.07.
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.07, "{mean} {square}");
    }

    #[test]
    fn chosen_items_are_different_ones_in_order() {
        let mut random = Random::new(5, 0);
        let mut seen = [0; 10];
        for _ in 0..200 {
            let chosen = random.choose((0..10).collect(), 4);
            assert!(chosen.len() == 4 && chosen.is_sorted_by(|a, b| a < b));
            chosen.iter().for_each(|item| seen[*item] += 1);
        }
        // 80 times each is to be expected, with a deviation of 7.
        assert!(seen.iter().all(|count| (50..110).contains(count)), "{seen:?}");
        assert_eq!(random.choose(vec![3, 1], 2), [3, 1]);
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
