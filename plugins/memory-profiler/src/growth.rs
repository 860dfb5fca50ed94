//! Whether a process grows without end. Knows nothing of where its memory goes.

/// Growth below this is the noise of an allocator.
const NOTABLE: u64 = 16 << 20;

/// How a process grew since it last did not.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Bytes at the report before the growth began.
    from: u64,
    last: u64,
    reports: u64,
    is_told: bool,
}

impl Growth {
    /// Takes in the bytes of one more report; a warning when the process has grown at so many in a row, and by a notable
    /// amount. It comes once for one growth.
    pub(crate) fn watch(&mut self, bytes: u64, enough: u64) -> Option<String> {
        if bytes > self.last && self.last > 0 {
            self.reports += 1;
        } else {
            *self = Growth { from: bytes, ..Growth::default() };
        }
        self.last = bytes;
        let grown = bytes - self.from;
        if enough == 0 || self.reports < enough || grown < NOTABLE || self.is_told {
            return None;
        }
        self.is_told = true;
        Some(format!(
            "The process has grown at each of the last {} reports, from {} MB to {} MB, {:.1} MB from one to the next: this \
             looks like a leak",
            self.reports,
            self.from >> 20,
            bytes >> 20,
            grown as f64 / (1 << 20) as f64 / self.reports as f64
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Growth;

    fn warnings(megabytes: impl IntoIterator<Item = u64>) -> Vec<String> {
        let mut growth = Growth::default();
        megabytes.into_iter().filter_map(|mb| growth.watch(mb << 20, 10)).collect()
    }

    #[test]
    fn steady_growth_is_told_once_with_its_rate() {
        let told = warnings((0..40).map(|report| 1000 + 8 * report));
        assert_eq!(told.len(), 1);
        assert!(
            told[0].contains("from 1000 MB to 1080 MB, 8.0 MB from one to the next"),
            "{told:?}"
        );
    }

    #[test]
    fn a_process_that_breathes_or_stands_still_is_no_leak() {
        assert!(warnings((0..100).map(|report| 1000 + 50 * (report % 8))).is_empty());
        assert!(warnings([1000; 100]).is_empty());
        let kilobytes = (0..100).map(|report| (1000 << 20) + report * 1024);
        let mut growth = Growth::default();
        assert!(kilobytes.into_iter().all(|bytes| growth.watch(bytes, 10).is_none()));
    }

    #[test]
    fn nothing_is_told_where_that_is_not_wanted() {
        let mut growth = Growth::default();
        assert!((1..100).all(|report| growth.watch(report << 30, 0).is_none()));
    }
}
