//! From matches of all pictures to precision and recall of one class.
//! Knows nothing of names and tables.
//!
//! Source: pycocotools `COCOeval.accumulate`: precision at 101 recalls, made monotone from the right.

use super::matching::{Matches, Outcome};

const RECALLS: usize = 101;

/// Precision at each recall, and recall, for each IoU threshold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    pub(super) curves: Vec<Vec<f64>>,
    pub(super) recall: Vec<f64>,
}

/// Scores of one class, with at most `most` detections of each picture; `None`: nothing is to be found.
pub(super) fn accumulate(images: &[Matches], thresholds: usize, most: usize) -> Option<Scores> {
    let wanted: usize = images.iter().map(|m| m.wanted).sum();
    if wanted == 0 {
        return None;
    }
    let mut outcomes: Vec<Outcome> =
        images.iter().flat_map(|m| &m.outcomes).filter(|o| o.place < most).copied().collect();
    outcomes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (curves, recall) = (0..thresholds).map(|t| curve(&outcomes, t, wanted)).unzip();
    Some(Scores { curves, recall })
}

/// Precision at each recall, and the last recall, at one threshold.
fn curve(outcomes: &[Outcome], threshold: usize, wanted: usize) -> (Vec<f64>, f64) {
    let bit = 1 << threshold;
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut recalls = Vec::with_capacity(outcomes.len());
    let mut precisions = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        if outcome.ignored & bit == 0 {
            if outcome.matched & bit != 0 {
                right += 1.0;
            } else {
                wrong += 1.0;
            }
        }
        recalls.push(right / wanted as f64);
        precisions.push(right / (right + wrong + f64::EPSILON));
    }
    for i in (1..precisions.len()).rev() {
        precisions[i - 1] = precisions[i - 1].max(precisions[i]);
    }
    let precision_at = |step: usize| {
        let recall = if step == RECALLS - 1 { 1.0 } else { step as f64 * 0.01 };
        let place = recalls.partition_point(|r| *r < recall);
        precisions.get(place).copied().unwrap_or(0.0)
    };
    let curve = (0..RECALLS).map(precision_at).collect();
    (curve, recalls.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precision(scores: &Scores) -> f64 {
        scores.curves[0].iter().sum::<f64>() / RECALLS as f64
    }

    fn outcome(score: f64, matched: u64) -> Outcome {
        Outcome { score, place: 0, matched, ignored: 0 }
    }

    #[test]
    fn all_found_scores_one_and_nothing_found_zero() {
        let all = Matches { outcomes: vec![outcome(0.9, 1)], wanted: 1 };
        assert!((precision(&accumulate(&[all], 1, 100).unwrap()) - 1.0).abs() < 1e-9);
        let none = Matches { outcomes: vec![], wanted: 1 };
        let nothing = Scores { curves: vec![vec![0.0; 101]], recall: vec![0.0] };
        assert_eq!(accumulate(&[none], 1, 100), Some(nothing));
        assert_eq!(accumulate(&[Matches::default()], 1, 100), None);
    }

    #[test]
    fn half_found_scores_half_the_recalls() {
        // One of two objects is found first, then a wrong one: precision 1 up to recall 0.5.
        let image = Matches { outcomes: vec![outcome(0.9, 1), outcome(0.8, 0)], wanted: 2 };
        let scores = accumulate(&[image], 1, 100).unwrap();
        assert!((precision(&scores) - 51.0 / 101.0).abs() < 1e-9);
        assert_eq!(scores.recall, [0.5]);
    }
}
