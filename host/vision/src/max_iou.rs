//! Each prior goes to the box that it overlaps most, where the overlap is large enough. Plain numbers on the CPU.
//!
//! Source: MMDetection `models/task_modules/assigners/max_iou_assigner.py`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, OneOrTwo, read, vision};

use crate::boxes::{Corners, iou};

/// The numbers of the assigner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MaxIou {
    positive: f32,
    negative: [f32; 2],
    smallest: f32,
    all_best: bool,
    low_quality: bool,
}

/// What a prior is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assigned {
    /// Neither: takes no part.
    Nothing,
    /// Background.
    Background,
    /// The box of this row.
    Target(usize),
}

impl MaxIou {
    pub(crate) fn read(value: &Json, path: &str) -> Result<MaxIou, ComponentError> {
        let declared: vision::MaxIouAssigner = read(value, path)?;
        if let Some(calculator) = &declared.iou_calculator {
            read::<vision::BboxOverlaps2D>(calculator, &format!("{path}.iou_calculator"))?;
        }
        Ok(MaxIou {
            positive: declared.pos_iou_thr,
            negative: match declared.neg_iou_thr {
                OneOrTwo::One(below) => [0.0, below],
                OneOrTwo::Two(from, below) => [from, below],
            },
            smallest: declared.min_pos_iou,
            all_best: declared.gt_max_assign_all,
            low_quality: declared.match_low_quality,
        })
    }

    /// What each of `priors` is to find; `takes_part` leaves some out.
    pub(crate) fn assign(
        &self,
        priors: &[Corners],
        takes_part: impl Fn(usize) -> bool,
        targets: &[Corners],
    ) -> Vec<Assigned> {
        let mut assigned = vec![Assigned::Nothing; priors.len()];
        let mut best_of_target = vec![f32::NEG_INFINITY; targets.len()];
        // Overlaps of priors that touch anything; most touch nothing.
        let mut touching: Vec<(usize, usize, f32)> = Vec::new();
        let mut overlapped = vec![0.0_f32; priors.len()];
        let mut nearest = vec![0_usize; priors.len()];
        let considered: Vec<usize> = (0..priors.len()).filter(|row| takes_part(*row)).collect();
        for (target, corners) in targets.iter().enumerate() {
            for &row in &considered {
                let overlap = iou(corners, &priors[row]);
                best_of_target[target] = best_of_target[target].max(overlap);
                if overlap > 0.0 {
                    touching.push((target, row, overlap));
                    if overlap > overlapped[row] {
                        (overlapped[row], nearest[row]) = (overlap, target);
                    }
                }
            }
        }
        for &row in &considered {
            let overlap = overlapped[row];
            if targets.is_empty() || (overlap >= self.negative[0] && overlap < self.negative[1]) {
                assigned[row] = Assigned::Background;
            }
            if !targets.is_empty() && overlap >= self.positive {
                assigned[row] = Assigned::Target(nearest[row]);
            }
        }
        if self.low_quality {
            self.give_each_target_its_best(&considered, &touching, &best_of_target, &mut assigned);
        }
        assigned
    }

    /// A later box takes a prior from an earlier one.
    fn give_each_target_its_best(
        &self,
        considered: &[usize],
        touching: &[(usize, usize, f32)],
        best: &[f32],
        assigned: &mut [Assigned],
    ) {
        let mut pairs = touching.chunk_by(|a, b| a.0 == b.0).peekable();
        for (target, best) in best.iter().enumerate() {
            let own = pairs.next_if(|pairs| pairs[0].0 == target).unwrap_or(&[]);
            if *best < self.smallest {
                continue;
            }
            let with_best = own.iter().filter(|(_, _, overlap)| overlap == best);
            let mut rows: Vec<usize> = with_best.map(|(_, row, _)| *row).collect();
            if *best == 0.0 {
                // Nothing touches it: all priors have its best overlap, and MMDetection gives it all of them.
                rows = considered.to_vec();
            }
            let count = if self.all_best { rows.len() } else { rows.len().min(1) };
            rows[..count].iter().for_each(|row| assigned[*row] = Assigned::Target(target));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assigner(config: Json) -> MaxIou {
        let mut all = json!({"type": "MaxIoUAssigner", "pos_iou_thr": 0.7, "neg_iou_thr": 0.3,
            "min_pos_iou": 0.2});
        for (key, value) in config.as_object().unwrap() {
            all[key] = value.clone();
        }
        MaxIou::read(&all, "").unwrap()
    }

    const PRIORS: [Corners; 5] = [
        [0.0, 0.0, 10.0, 10.0],
        [0.0, 0.0, 10.0, 8.0],
        [0.0, 0.0, 10.0, 4.0],
        [50.0, 50.0, 60.0, 60.0],
        [51.0, 50.0, 61.0, 60.0],
    ];

    use Assigned::{Background, Nothing, Target};

    #[test]
    fn overlaps_decide_between_box_background_and_nothing() {
        let targets = [[0.0, 0.0, 10.0, 10.0]];
        let found = assigner(json!({})).assign(&PRIORS, |_| true, &targets);
        assert_eq!(found, [Target(0), Target(0), Nothing, Background, Background]);
        let found =
            assigner(json!({"neg_iou_thr": [0.1, 0.5]})).assign(&PRIORS, |_| true, &targets);
        assert_eq!(found, [Target(0), Target(0), Background, Nothing, Nothing]);
    }

    #[test]
    fn a_box_that_no_prior_fits_takes_all_of_its_best() {
        let targets = [[50.5, 50.0, 60.5, 70.0], [0.0, 0.0, 10.0, 3.5]];
        let found = assigner(json!({})).assign(&PRIORS, |_| true, &targets);
        assert_eq!(found, [Nothing, Nothing, Target(1), Target(0), Target(0)]);
        let one = assigner(json!({"gt_max_assign_all": false}));
        assert_eq!(one.assign(&PRIORS, |_| true, &targets)[3..], [Target(0), Nothing]);
        let none = assigner(json!({"match_low_quality": false}));
        assert_eq!(none.assign(&PRIORS, |_| true, &targets)[3..], [Nothing, Nothing]);
    }

    #[test]
    fn without_boxes_all_is_background_but_what_takes_no_part() {
        let found = assigner(json!({})).assign(&PRIORS, |row| row != 2, &[]);
        assert_eq!(found, [Background, Background, Nothing, Background, Background]);
    }

    #[test]
    fn a_box_that_touches_nothing_takes_everything_where_no_overlap_is_enough() {
        let zero = assigner(json!({"min_pos_iou": 0.0}));
        let found = zero.assign(&PRIORS, |row| row < 2, &[[90.0, 90.0, 91.0, 91.0]]);
        assert_eq!(found, [Target(0), Target(0), Nothing, Nothing, Nothing]);
    }
}
