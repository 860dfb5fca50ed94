//! SimOTA: which priors are to find which box. Plain numbers on the CPU, a picture at a time, no libtorch.
//!
//! Source: arXiv 2107.08430 section 2; MMDetection `models/task_modules/assigners/sim_ota_assigner.py`.
//! The numbers per pair are few and most pairs are apart, so that a loop that skips those is faster than
//! whole matrices.

use serde_json::Value as Json;
use snaphook_components::vision::{BboxOverlaps2D, SimOtaAssigner};
use snaphook_components::{ComponentError, read};

use crate::boxes::{Corners, iou};

/// Cost of a pair whose prior is not both in the box and near its centre.
const FAR: f32 = 100_000.0;
/// Keeps the logarithm of an overlap finite.
const EPS: f32 = 1e-7;

/// The numbers of the assigner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SimOta {
    center_radius: f32,
    candidate_topk: usize,
    iou_weight: f32,
    cls_weight: f32,
}

/// A place that predicts a box: its centre and the stride of its map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PriorCenter {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) stride: f32,
}

/// What a model predicts for a picture, as far as the assignment needs it; a row per prior.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predicted<'a> {
    /// Decoded boxes.
    pub(crate) boxes: &'a [Corners],
    /// Cost of saying "no" to every class.
    pub(crate) refusal_cost: &'a [f32],
    /// What the cost changes by with "yes" to a class; `classes` numbers per prior.
    pub(crate) class_cost: &'a [f32],
    /// Number of classes.
    pub(crate) classes: usize,
}

/// Boxes to be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// Corners.
    pub(crate) boxes: Vec<Corners>,
    /// Class of each.
    pub(crate) labels: Vec<i64>,
}

/// A prior that is to find a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// Row of the prior.
    pub(crate) prior: usize,
    /// Row of the box.
    pub(crate) target: usize,
    /// Overlap of what it predicts now with the box.
    pub(crate) iou: f32,
}

impl SimOta {
    pub(crate) fn read(value: &Json, path: &str) -> Result<SimOta, ComponentError> {
        let assigner: SimOtaAssigner = read(value, path)?;
        if let Some(calculator) = &assigner.iou_calculator {
            read::<BboxOverlaps2D>(calculator, &format!("{path}.iou_calculator"))?;
        }
        let SimOtaAssigner { center_radius, candidate_topk, iou_weight, cls_weight, .. } = assigner;
        Ok(SimOta { center_radius, candidate_topk, iou_weight, cls_weight })
    }

    /// The matches of a picture, by rising prior; each prior at most once.
    pub(crate) fn assign(
        &self,
        priors: &[PriorCenter],
        predicted: Predicted<'_>,
        targets: &Targets,
    ) -> Vec<Match> {
        let candidates = self.candidates(priors, &targets.boxes);
        if candidates.is_empty() {
            return Vec::new();
        }
        let pairs = self.pairs(priors, &candidates, predicted, targets);
        let chosen = self.choose(&pairs);
        let one = |(column, target): (usize, usize)| Match {
            prior: candidates[column],
            target,
            iou: pairs.iou[target * pairs.columns + column],
        };
        chosen.into_iter().enumerate().filter_map(|(c, t)| t.map(|t| one((c, t)))).collect()
    }

    /// Priors inside any box or near the centre of any box.
    fn candidates(&self, priors: &[PriorCenter], boxes: &[Corners]) -> Vec<usize> {
        let takes_part = |prior: &PriorCenter| {
            boxes
                .iter()
                .any(|target| is_inside(prior, target) || self.is_near_center(prior, target))
        };
        (0..priors.len()).filter(|row| takes_part(&priors[*row])).collect()
    }

    fn is_near_center(&self, prior: &PriorCenter, target: &Corners) -> bool {
        let reach = self.center_radius * prior.stride;
        let x = (target[0] + target[2]) / 2.0;
        let y = (target[1] + target[3]) / 2.0;
        prior.x > x - reach && prior.x < x + reach && prior.y > y - reach && prior.y < y + reach
    }

    fn pairs(
        &self,
        priors: &[PriorCenter],
        candidates: &[usize],
        predicted: Predicted<'_>,
        targets: &Targets,
    ) -> Pairs {
        let mut pairs = Pairs::with_capacity(candidates.len(), targets.boxes.len());
        let apart = -EPS.ln() * self.iou_weight;
        for (target, label) in targets.boxes.iter().zip(&targets.labels) {
            for &row in candidates {
                let overlap = iou(&predicted.boxes[row], target);
                let class = predicted.class_cost[row * predicted.classes + *label as usize];
                let mut cost = (predicted.refusal_cost[row] + class) * self.cls_weight;
                cost += if overlap > 0.0 { -(overlap + EPS).ln() * self.iou_weight } else { apart };
                let prior = &priors[row];
                if !(is_inside(prior, target) && self.is_near_center(prior, target)) {
                    cost += FAR;
                }
                pairs.iou.push(overlap);
                pairs.cost.push(cost);
            }
        }
        pairs
    }

    /// The box of each candidate, if it gets one: each box takes as many of the cheapest as its best overlaps
    /// add up to; a candidate that several boxes take goes to the one that is cheapest for it.
    fn choose(&self, pairs: &Pairs) -> Vec<Option<usize>> {
        let mut chosen: Vec<Option<usize>> = vec![None; pairs.columns];
        let mut is_contested = vec![false; pairs.columns];
        for target in 0..pairs.targets {
            let best = smallest(pairs.row(&pairs.iou, target), self.candidate_topk, |v| -v);
            let sum: f32 = best.iter().map(|column| pairs.row(&pairs.iou, target)[*column]).sum();
            let count = (sum as usize).clamp(1, self.candidate_topk.max(1));
            for column in smallest(pairs.row(&pairs.cost, target), count, |v| v) {
                is_contested[column] |= chosen[column].is_some();
                chosen[column] = Some(target);
            }
        }
        for column in (0..pairs.columns).filter(|column| is_contested[*column]) {
            let cost = |target: &usize| pairs.cost[target * pairs.columns + column];
            chosen[column] = (0..pairs.targets).min_by(|a, b| cost(a).total_cmp(&cost(b)));
        }
        chosen
    }
}

impl Default for SimOta {
    fn default() -> SimOta {
        SimOta { center_radius: 2.5, candidate_topk: 10, iou_weight: 3.0, cls_weight: 1.0 }
    }
}

fn is_inside(prior: &PriorCenter, target: &Corners) -> bool {
    prior.x > target[0] && prior.y > target[1] && prior.x < target[2] && prior.y < target[3]
}

/// Overlap and cost of every candidate with every box; a row per box.
#[derive(Debug)]
struct Pairs {
    columns: usize,
    targets: usize,
    iou: Vec<f32>,
    cost: Vec<f32>,
}

impl Pairs {
    fn with_capacity(columns: usize, targets: usize) -> Pairs {
        let numbers = || Vec::with_capacity(columns * targets);
        Pairs { columns, targets, iou: numbers(), cost: numbers() }
    }

    fn row<'a>(&self, numbers: &'a [f32], target: usize) -> &'a [f32] {
        &numbers[target * self.columns..(target + 1) * self.columns]
    }
}

/// The places of the `count` smallest keys, smallest first; of equal ones the first.
fn smallest(values: &[f32], count: usize, key: impl Fn(f32) -> f32) -> Vec<usize> {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(count.min(values.len()) + 1);
    for (place, value) in values.iter().enumerate() {
        let key = key(*value);
        if best.len() == count && best.last().is_some_and(|(worst, _)| key >= *worst) {
            continue;
        }
        let at = best.partition_point(|(other, _)| *other <= key);
        best.insert(at, (key, place));
        best.truncate(count);
    }
    best.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Priors of one map of 4 x 4 with stride 8: centres at 4, 12, 20, 28.
    fn priors() -> Vec<PriorCenter> {
        let center = |i: i32| i as f32 * 8.0 + 4.0;
        (0..16).map(|i| PriorCenter { x: center(i % 4), y: center(i / 4), stride: 8.0 }).collect()
    }

    fn assign(boxes: &[Corners], targets: &Targets) -> Vec<Match> {
        let refusal_cost = vec![0.5; boxes.len()];
        let class_cost = vec![0.0; boxes.len() * 2];
        let (refusal_cost, class_cost) = (&refusal_cost[..], &class_cost[..]);
        let predicted = Predicted { boxes, refusal_cost, class_cost, classes: 2 };
        SimOta::default().assign(&priors(), predicted, targets)
    }

    #[test]
    fn a_box_takes_as_many_of_the_cheapest_priors_as_overlaps_add_up_to() {
        let target = [0.0, 0.0, 16.0, 16.0];
        let mut boxes = vec![[0.0; 4]; 16];
        boxes[0] = target; // overlap 1
        boxes[1] = [0.0, 0.0, 16.0, 12.0]; // overlap 0.75
        boxes[4] = [0.0, 0.0, 16.0, 8.0]; // overlap 0.5: the sum is 2.25, so two are taken
        boxes[15] = target; // outside of the box and of its centre's surroundings: cost 100000
        let matches = assign(&boxes, &Targets { boxes: vec![target], labels: vec![1] });
        assert_eq!(
            matches,
            [Match { prior: 0, target: 0, iou: 1.0 }, Match { prior: 1, target: 0, iou: 0.75 }]
        );
    }

    #[test]
    fn a_prior_wanted_twice_goes_to_the_box_that_is_cheapest_for_it() {
        let (large, small) = ([0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 16.0, 12.0]);
        let mut boxes = vec![[500.0, 500.0, 501.0, 501.0]; 16];
        boxes[0] = small;
        let targets = Targets { boxes: vec![large, small], labels: vec![0, 0] };
        let matches = assign(&boxes, &targets);
        assert_eq!(matches, [Match { prior: 0, target: 1, iou: 1.0 }]);
    }

    #[test]
    fn without_boxes_nothing_is_matched() {
        assert_eq!(assign(&[[0.0; 4]; 16], &Targets::default()), []);
    }

    #[test]
    fn smallest_are_in_order_and_the_first_of_equal_ones_wins() {
        assert_eq!(smallest(&[3.0, 1.0, 2.0, 1.0], 3, |v| v), [1, 3, 2]);
        assert_eq!(smallest(&[1.0], 3, |v| v), [0]);
    }
}
