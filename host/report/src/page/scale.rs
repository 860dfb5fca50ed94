//! From values to places in a plot, and the ticks beside it. Knows nothing of what is drawn.

/// A range of values on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    /// The axis for these values; logarithmic where `may_be_log` and they span so much that the rest would be flat.
    pub(super) fn of(values: impl Iterator<Item = f64>, may_be_log: bool) -> Option<Scale> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        if may_be_log && low > 0.0 && high / low > 30.0 {
            return Some(Scale { low: low.log10(), high: high.log10(), is_log: true });
        }
        // A constant needs room on both sides.
        let margin = if high > low { 0.06 * (high - low) } else { 0.05 * high.abs() };
        // Nothing but zeros: an axis that says so.
        let margin = if margin > 0.0 { margin } else { 1.0 };
        // Values that cannot be negative do not get a negative axis.
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Some(Scale { low: (low - margin).max(floor), high: high + margin, is_log: false })
    }

    /// Exactly this range.
    pub(super) fn between(low: f64, high: f64) -> Scale {
        Scale { low, high, is_log: false }
    }

    pub(super) fn is_log(self) -> bool {
        self.is_log
    }

    pub(super) fn ends(self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The share of the axis that lies below a value, 0 to 1 inside of it.
    pub(super) fn place(self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 }
    }

    /// Round values inside the range, about `wanted` of them.
    pub(super) fn ticks(self, wanted: usize) -> Vec<f64> {
        if self.is_log {
            return self.log_ticks();
        }
        let span = self.high - self.low;
        if span <= 0.0 {
            return vec![self.low];
        }
        let rough = span / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn log_ticks(self) -> Vec<f64> {
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let factors: &[f64] = if self.high - self.low > 3.0 { &[1.0] } else { &[1.0, 3.0] };
        let all =
            decades.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        all.filter(|tick| (0.0..=1.0).contains(&self.place(*tick))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Scale::between(0.0, 97.0).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0]);
        let scale = Scale::of([0.31, 0.52].into_iter(), true).unwrap();
        let ticks = scale.ticks(4);
        assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&scale.place(*tick))), "{ticks:?}");
        assert!(ticks.len() >= 2);
    }

    #[test]
    fn wide_ranges_are_logarithmic_and_constants_have_room() {
        let scale = Scale::of([0.01, 50.0, f64::NAN].into_iter(), true).unwrap();
        assert!(scale.is_log());
        assert_eq!((scale.place(0.01), scale.place(50.0)), (0.0, 1.0));
        assert!(scale.ticks(5).contains(&1.0));
        assert!(!Scale::of([0.0, 50.0].into_iter(), true).unwrap().is_log());
        assert_eq!(Scale::of([0.0, 5.0].into_iter(), true).unwrap().ends().0, 0.0);
        assert_eq!(Scale::of([0.5].into_iter(), true).unwrap().place(0.5), 0.5);
        assert_eq!(Scale::of([f64::NAN].into_iter(), true), None);
    }
}
