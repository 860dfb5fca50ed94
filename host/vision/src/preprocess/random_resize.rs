//! Another size for all pictures of a batch every few iterations. Draws sizes; resizes nothing itself.
//!
//! Source: MMDetection `models/data_preprocessors/data_preprocessor.py`, `BatchSyncRandomResize`: a size
//! drawn in the last iteration of an interval holds for the whole next one, and the first interval keeps the
//! pictures' own. There the sizes come from the process's generator; here from the seed and the number of the
//! interval, so that a resumed run goes on with the size that it stopped with.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{ComponentError, read};
use snaphook_runner::StepContext;

use crate::random::Random;

/// Keeps this use of the seed apart from others.
const STREAM: u64 = 0x5253_0000_0000_0000;

/// Which sizes there are and how long each holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BatchSyncRandomResize {
    /// Smallest and largest height, in divisors.
    range: (i64, i64),
    interval: u64,
    divisor: i64,
}

impl BatchSyncRandomResize {
    pub(super) fn read(value: &Json, path: &str) -> Result<BatchSyncRandomResize, ComponentError> {
        let resize: declared::BatchSyncRandomResize = read(value, path)?;
        let (interval, divisor) = (resize.interval, resize.size_divisor);
        Ok(BatchSyncRandomResize { range: resize.steps(), interval, divisor })
    }

    /// Height and width for pictures of `height` x `width`; `None` where they keep their own.
    pub(super) fn size(
        &self,
        context: &StepContext,
        height: i64,
        width: i64,
    ) -> Option<(i64, i64)> {
        let interval = context.iter / self.interval;
        if interval == 0 {
            return None;
        }
        let steps =
            Random::new(context.seed, STREAM + interval).between(self.range.0, self.range.1);
        let wide = (width as f64 / height as f64 * steps as f64) as i64;
        let size = (self.divisor * steps, self.divisor * wide.max(1));
        (size != (height, width)).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn sizes(seed: u64, iterations: std::ops::Range<u64>) -> Vec<Option<(i64, i64)>> {
        let config = json!({"type": "BatchSyncRandomResize", "random_size_range": [256, 384],
            "size_divisor": 32, "interval": 10});
        let resize = BatchSyncRandomResize::read(&config, "").unwrap();
        let size = |iter| resize.size(&StepContext { iter, epoch: 0, seed }, 320, 640);
        iterations.map(size).collect()
    }

    #[test]
    fn the_first_interval_keeps_the_size_and_each_later_one_has_one_size() {
        let drawn = sizes(1, 0..1000);
        assert!(drawn[..10].iter().all(Option::is_none));
        assert!(drawn.chunks(10).all(|interval| interval.iter().all(|size| *size == interval[0])));
    }

    #[test]
    fn every_step_of_the_range_comes_up_with_the_pictures_ratio() {
        let drawn: BTreeSet<_> = sizes(1, 10..2000).into_iter().flatten().collect();
        let all = [256, 288, 352, 384].map(|height| (height, 2 * height));
        assert_eq!(drawn, BTreeSet::from(all), "320 x 640 is the pictures' own size");
    }

    #[test]
    fn a_resumed_run_draws_what_the_uninterrupted_one_drew() {
        assert_eq!(sizes(3, 0..100)[57..], sizes(3, 57..100));
        assert_ne!(sizes(3, 0..100), sizes(4, 0..100));
    }
}
