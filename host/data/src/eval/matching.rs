//! Which detection of one picture and class is which annotated object.
//! Knows nothing of other pictures.
//!
//! Source: pycocotools `COCOeval.computeIoU` and `evaluateImg`. We differ for an annotation with id 0,
//! which pycocotools takes for "no match".

use super::truth::TrueBox;

/// A detection: x, y, width, height.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundBox {
    pub(super) bbox: [f64; 4],
    pub(super) score: f64,
}

/// What became of a detection; bit t stands for IoU threshold t.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) score: f64,
    /// Place among the detections of its picture and class, by score.
    pub(super) place: usize,
    pub(super) matched: u64,
    pub(super) ignored: u64,
}

/// What became of the detections of one picture and class, for one range of areas.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) outcomes: Vec<Outcome>,
    /// Objects to be found.
    pub(super) wanted: usize,
}

/// The detections of one picture and class against its objects.
pub(super) struct Contest<'a> {
    truths: &'a [TrueBox],
    found: Vec<FoundBox>,
    /// Overlap of each detection (outer) with each object.
    overlaps: Vec<Vec<f64>>,
}

impl<'a> Contest<'a> {
    /// Keeps the `most` best detections.
    pub(super) fn new(truths: &'a [TrueBox], mut found: Vec<FoundBox>, most: usize) -> Self {
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(most);
        let overlaps =
            found.iter().map(|f| truths.iter().map(|t| overlap(f, t)).collect()).collect();
        Self { truths, found, overlaps }
    }

    /// Matches at each threshold; objects outside the range of areas are neither wanted nor wrong.
    pub(super) fn matches(&self, thresholds: &[f64], [least, most]: [f64; 2]) -> Matches {
        let is_ignored = |t: &TrueBox| t.is_crowd || t.area < least || t.area > most;
        let ignored: Vec<bool> = self.truths.iter().map(is_ignored).collect();
        // Objects that count come first, so that they are preferred.
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|i| ignored[*i]);
        let outcome = |(place, f): (usize, &FoundBox)| Outcome {
            score: f.score,
            place,
            matched: 0,
            ignored: 0,
        };
        let mut outcomes: Vec<Outcome> = self.found.iter().enumerate().map(outcome).collect();
        for (t, threshold) in thresholds.iter().enumerate() {
            let mut is_taken = vec![false; self.truths.len()];
            for (d, outcome) in outcomes.iter_mut().enumerate() {
                if let Some(object) = self.best(d, *threshold, &order, &ignored, &is_taken) {
                    is_taken[object] = true;
                    outcome.matched |= 1 << t;
                    outcome.ignored |= u64::from(ignored[object]) << t;
                }
            }
        }
        for (outcome, found) in outcomes.iter_mut().zip(&self.found) {
            let area = found.bbox[2] * found.bbox[3];
            if area < least || area > most {
                outcome.ignored |= !outcome.matched;
            }
        }
        Matches { outcomes, wanted: ignored.iter().filter(|i| !**i).count() }
    }

    /// The object that detection `d` overlaps most, at least by `threshold`; an object can be had once,
    /// a crowd any number of times, and an ignored object only if no other is had.
    fn best(
        &self,
        d: usize,
        threshold: f64,
        order: &[usize],
        ignored: &[bool],
        is_taken: &[bool],
    ) -> Option<usize> {
        let mut most = threshold.min(1.0 - 1e-10);
        let mut best: Option<usize> = None;
        for &object in order {
            if is_taken[object] && !self.truths[object].is_crowd {
                continue;
            }
            if best.is_some_and(|b| !ignored[b]) && ignored[object] {
                break;
            }
            let overlap = self.overlaps[d][object];
            if overlap >= most {
                (most, best) = (overlap, Some(object));
            }
        }
        best
    }
}

/// Intersection over union; over the detection's own area for a crowd.
fn overlap(found: &FoundBox, truth: &TrueBox) -> f64 {
    let ([fx, fy, fw, fh], [tx, ty, tw, th]) = (found.bbox, truth.bbox);
    let width = (fx + fw).min(tx + tw) - fx.max(tx);
    let height = (fy + fh).min(ty + th) - fy.max(ty);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    let all = if truth.is_crowd { fw * fh } else { fw * fh + tw * th - both };
    both / all
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [f64; 2] = [0.0, 1e10];

    fn truth(x: f64, is_crowd: bool) -> TrueBox {
        TrueBox { bbox: [x, 0.0, 10.0, 10.0], area: 100.0, is_crowd }
    }

    fn found(x: f64, score: f64) -> FoundBox {
        FoundBox { bbox: [x, 0.0, 10.0, 10.0], score }
    }

    #[test]
    fn an_object_is_had_once_by_the_best_score() {
        let truths = [truth(0.0, false)];
        let matches =
            Contest::new(&truths, vec![found(0.0, 0.3), found(1.0, 0.9)], 100).matches(&[0.5], ALL);
        let matched: Vec<u64> = matches.outcomes.iter().map(|o| o.matched).collect();
        assert_eq!((matched, matches.wanted), (vec![1, 0], 1));
        assert_eq!(matches.outcomes[0].score, 0.9);
    }

    #[test]
    fn thresholds_are_bits() {
        let truths = [truth(0.0, false)];
        let matches =
            Contest::new(&truths, vec![found(2.0, 1.0)], 100).matches(&[0.5, 0.6, 0.7], ALL);
        assert_eq!(matches.outcomes[0].matched, 0b011);
    }

    #[test]
    fn a_crowd_swallows_any_number_and_is_not_wanted() {
        let truths = [truth(0.0, true)];
        let matches =
            Contest::new(&truths, vec![found(0.0, 0.3), found(1.0, 0.9)], 100).matches(&[0.5], ALL);
        assert!(matches.outcomes.iter().all(|o| o.matched == 1 && o.ignored == 1));
        assert_eq!(matches.wanted, 0);
    }

    #[test]
    fn what_is_outside_the_range_of_areas_does_not_count() {
        let truths = [truth(0.0, false)];
        let matches =
            Contest::new(&truths, vec![found(50.0, 0.9)], 100).matches(&[0.5], [0.0, 50.0]);
        assert_eq!((matches.outcomes[0].ignored & 1, matches.wanted), (1, 0));
    }
}
