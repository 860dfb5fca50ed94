//! From the scores of single classes to the twelve numbers.
//! Knows nothing of how they are told.
//!
//! Source: pycocotools `COCOeval.summarize`.

use super::accumulate::Scores;
use super::mean::mean;
use super::settings::Settings;

/// Scores of a class: for each limit of detections, for each range of areas.
pub(super) struct ClassScores {
    pub(super) limits: [[Option<Scores>; 4]; 3],
}

/// The numbers of some classes together.
#[derive(Clone, Copy)]
pub(super) struct Summary<'a> {
    pub(super) settings: &'a Settings,
    pub(super) classes: &'a [ClassScores],
}

impl Summary<'_> {
    /// Scores of the classes that have any.
    fn known(&self, limit: usize, area: usize) -> Vec<&Scores> {
        self.classes.iter().filter_map(|class| class.limits[limit][area].as_ref()).collect()
    }

    /// The mean over thresholds, recalls and classes, summed in this order; -1 if there is none.
    fn precision(&self, limit: usize, area: usize, threshold: Option<f64>) -> f64 {
        let is_meant = |t: f64| threshold.is_none_or(|wanted| (wanted - t).abs() < 1e-9);
        let known = self.known(limit, area);
        let mut values = Vec::new();
        for (place, _) in self.settings.thresholds.iter().enumerate().filter(|(_, t)| is_meant(**t))
        {
            let curves: Vec<&[f64]> = known.iter().map(|scores| &*scores.curves[place]).collect();
            let recalls = curves.first().map_or(0, |curve| curve.len());
            values.extend(
                (0..recalls).flat_map(|recall| curves.iter().map(move |curve| curve[recall])),
            );
        }
        mean(&values).unwrap_or(-1.0)
    }

    /// The mean over thresholds and classes, summed in this order; -1 if there is none.
    fn recall(&self, limit: usize, area: usize) -> f64 {
        let known = self.known(limit, area);
        let thresholds = 0..self.settings.thresholds.len();
        let values: Vec<f64> = thresholds
            .flat_map(|place| known.iter().map(move |scores| scores.recall[place]))
            .collect();
        mean(&values).unwrap_or(-1.0)
    }

    /// In the order of `STAT_NAMES`.
    pub(super) fn stats(&self) -> [f64; 12] {
        let headline = self.settings.proposal_nums.iter().position(|n| *n == 100);
        [
            headline.map_or(-1.0, |limit| self.precision(limit, 0, None)),
            self.precision(2, 0, Some(0.5)),
            self.precision(2, 0, Some(0.75)),
            self.precision(2, 1, None),
            self.precision(2, 2, None),
            self.precision(2, 3, None),
            self.recall(0, 0),
            self.recall(1, 0),
            self.recall(2, 0),
            self.recall(2, 1),
            self.recall(2, 2),
            self.recall(2, 3),
        ]
    }

    /// mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l of a single class: all with the largest limit.
    pub(super) fn class_row(&self) -> [f64; 6] {
        let of = |area, threshold| self.precision(2, area, threshold);
        [of(0, None), of(0, Some(0.5)), of(0, Some(0.75)), of(1, None), of(2, None), of(3, None)]
    }
}
