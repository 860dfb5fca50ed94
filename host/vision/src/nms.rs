//! Non-maximum suppression by class: hard and soft. On the CPU pictures, and classes of a picture with many boxes, are
//! looked at side by side; on a GPU hard suppression of many boxes is done there.
//! Knows nothing of heads.
//!
//! Source: MMCV `ops/nms.py` and `ops/csrc/pytorch/cpu/nms.cpp`. As there, classes are kept apart by moving their boxes
//! away from each other, in single precision: a box whose overlap is next to the threshold is then kept or not as there,
//! and so is one with negative coordinates, which can reach into the class before.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use snaphook_components::vision::{Nms, SoftNms};
use snaphook_components::{Catalog, ComponentError, Role, read, type_name};
use snaphook_data::Detection;
use tch::{Device, Tensor};

use crate::boxes::{Corners, from_corners};
use crate::nms_by_tensors::{Apart, hard_rows};
use crate::side_by_side::side_by_side;

/// What `nms` of a `test_cfg` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Suppression {
    method: Method,
    /// Whether boxes of other classes count.
    class_agnostic: bool,
    /// Most boxes to keep.
    most: Option<usize>,
    /// From so many boxes on, classes are looked at one after another.
    split_from: usize,
}

/// What happens with a box that overlaps a better one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    /// It is left out, from more overlap than this on.
    Hard(f32),
    /// Its score falls.
    Soft(Soft),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Soft {
    iou_threshold: f32,
    min_score: f32,
    decay: Decay,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Decay {
    Naive,
    Linear,
    Gaussian(f32),
}

/// From so many pairs of boxes on, threads take less time than they need to start.
const MANY_PAIRS: usize = 500_000;
/// With fewer boxes, the operations on a GPU take longer to start than a look at all on the CPU.
const MANY_BOXES: usize = 512;

/// A row of what came in, and its score now.
type Kept = (usize, f32);

impl Suppression {
    /// Leaves out what overlaps a better box of its class by more than this.
    pub(crate) fn hard(iou_threshold: f32) -> Suppression {
        let method = Method::Hard(iou_threshold);
        Suppression { method, class_agnostic: false, most: None, split_from: 10_000 }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<Suppression, ComponentError> {
        match type_name(Role::Suppression, value, path)? {
            "nms" => {
                let own: Nms = read(value, path)?;
                Ok(Suppression {
                    class_agnostic: own.class_agnostic,
                    most: usize::try_from(own.max_num).ok(),
                    split_from: own.split_thr,
                    ..Suppression::hard(own.iou_threshold)
                })
            }
            "soft_nms" => {
                let own: SoftNms = read(value, path)?;
                let decay = match own.method.as_str() {
                    "naive" => Decay::Naive,
                    "gaussian" => Decay::Gaussian(own.sigma),
                    _ => Decay::Linear,
                };
                let soft =
                    Soft { iou_threshold: own.iou_threshold, min_score: own.min_score, decay };
                Ok(Suppression {
                    method: Method::Soft(soft),
                    class_agnostic: own.class_agnostic,
                    most: None,
                    split_from: own.split_thr,
                })
            }
            _ => Err(Catalog::built_in().unknown(Role::Suppression, value, path).into()),
        }
    }

    /// [`Suppression::apply`] for each picture of a batch whose tensors are on `device`.
    pub(crate) fn apply_all(
        &self,
        pictures: Vec<Vec<Detection>>,
        device: Device,
    ) -> Vec<Vec<Detection>> {
        if device != Device::Cpu {
            let one = |boxes: Vec<Detection>| match boxes.len() {
                0..MANY_BOXES => self.apply(boxes),
                _ => self.apply_on(boxes, device),
            };
            return pictures.into_iter().map(one).collect();
        }
        match pays(pictures.iter().map(Vec::len)) {
            true => side_by_side(pictures, |boxes| self.apply(boxes)),
            false => pictures.into_iter().map(|boxes| self.apply(boxes)).collect(),
        }
    }

    /// [`Suppression::apply`] by tensor operations, where there are some for the method.
    fn apply_on(&self, boxes: Vec<Detection>, device: Device) -> Vec<Detection> {
        let corners: Vec<Corners> = boxes.iter().map(|found| found.bbox).collect();
        let scores: Vec<f32> = boxes.iter().map(|found| found.score).collect();
        let labels: Vec<i64> = boxes.iter().map(|found| found.label).collect();
        let [scores, labels] =
            [Tensor::from_slice(&scores), Tensor::from_slice(&labels)].map(|t| t.to_device(device));
        match self.rows(&from_corners(&corners, device), &scores, &labels) {
            Some(rows) => to_rows(&rows).into_iter().map(|row| boxes[row]).collect(),
            None => self.apply(boxes),
        }
    }

    /// The rows that stay, best first, found where the tensors are; `None` where that needs a look at one box after
    /// another, as soft suppression does.
    ///
    /// Shapes: `boxes` [N, 4] f32, `scores` [N] f32, `labels` [N] i64; the result [K] i64.
    pub(crate) fn rows(&self, boxes: &Tensor, scores: &Tensor, labels: &Tensor) -> Option<Tensor> {
        let Method::Hard(threshold) = self.method else { return None };
        let count = boxes.size()[0];
        let is_compared = usize::try_from(count).is_ok_and(|count| count >= self.split_from);
        let apart = Apart { is_moved: !self.class_agnostic, is_compared };
        let rows = hard_rows(boxes, scores, labels, threshold, apart);
        let most = self.most.filter(|most| *most > 0).and_then(|most| i64::try_from(most).ok());
        let kept = rows.size()[0];
        Some(rows.narrow(0, 0, most.map_or(kept, |most| most.min(kept))))
    }

    /// The boxes that stay, best first; equal scores keep their order.
    pub(crate) fn apply(&self, boxes: Vec<Detection>) -> Vec<Detection> {
        let corners: Vec<Corners> = boxes.iter().map(|found| found.bbox).collect();
        let scores: Vec<f32> = boxes.iter().map(|found| found.score).collect();
        let labels: Vec<i64> = boxes.iter().map(|found| found.label).collect();
        let kept = self.keep(&corners, &scores, &labels);
        kept.into_iter().map(|(row, score)| Detection { score, ..boxes[row] }).collect()
    }

    /// The rows that stay with their scores, best first; equal scores keep their order.
    pub(crate) fn keep(&self, boxes: &[Corners], scores: &[f32], labels: &[i64]) -> Vec<Kept> {
        let (moved, are_apart) = self.moved(boxes, labels);
        let all: Vec<usize> = (0..boxes.len()).collect();
        let splits = boxes.len() >= self.split_from;
        let by_class = || {
            let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            labels.iter().enumerate().for_each(|(row, l)| classes.entry(*l).or_default().push(row));
            classes.into_values().collect::<Vec<_>>()
        };
        // Where no class reaches another, one look at all is the same as one at each; soft suppression goes by one order.
        let one_by_one = splits || (are_apart && matches!(self.method, Method::Hard(_)));
        let groups = if one_by_one { by_class() } else { vec![all] };
        let of_group = |rows: &Vec<usize>| match self.method {
            Method::Hard(threshold) => hard(&moved, scores, rows, threshold),
            Method::Soft(method) => soft(&moved, scores, rows, method),
        };
        let mut kept: Vec<Kept> = match pays(groups.iter().map(Vec::len)) {
            true => side_by_side(groups.iter().collect(), of_group).into_iter().flatten().collect(),
            false => groups.iter().flat_map(of_group).collect(),
        };
        if one_by_one {
            kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        kept.truncate(self.most.filter(|most| *most > 0).unwrap_or(usize::MAX));
        kept
    }

    /// The boxes with their classes moved away from each other, and whether none can reach another class.
    fn moved(&self, boxes: &[Corners], labels: &[i64]) -> (Vec<Corners>, bool) {
        let numbers = || boxes.as_flattened().iter().copied();
        if self.class_agnostic {
            return (boxes.to_vec(), false);
        }
        let step = numbers().fold(f32::NEG_INFINITY, f32::max) + 1.0;
        let lowest = numbers().fold(f32::INFINITY, f32::min);
        let moved = boxes.iter().zip(labels).map(|(corners, label)| {
            let offset = *label as f32 * step;
            corners.map(|number| number + offset)
        });
        (moved.collect(), lowest >= 0.0)
    }
}

/// Whether groups of so many boxes are work enough for several threads.
fn pays(groups: impl Iterator<Item = usize>) -> bool {
    groups.map(|boxes| boxes * boxes).sum::<usize>() >= MANY_PAIRS
}

fn to_rows(rows: &Tensor) -> Vec<usize> {
    let rows: Vec<i64> = Vec::try_from(rows.to_device(Device::Cpu)).unwrap_or_default();
    rows.into_iter().map(|row| row as usize).collect()
}

/// The numbers of boxes by kind, best first, so that a loop over them uses wide instructions.
#[derive(Default)]
struct Columns {
    x1: Vec<f32>,
    y1: Vec<f32>,
    x2: Vec<f32>,
    y2: Vec<f32>,
    area: Vec<f32>,
}

impl Columns {
    fn of(boxes: &[Corners], rows: &[usize]) -> Columns {
        let column = |i: usize| rows.iter().map(|row| boxes[*row][i]).collect();
        let area = |row: &usize| {
            let [x1, y1, x2, y2] = boxes[*row];
            (x2 - x1) * (y2 - y1)
        };
        Columns {
            x1: column(0),
            y1: column(1),
            x2: column(2),
            y2: column(3),
            area: rows.iter().map(area).collect(),
        }
    }

    /// Overlap over union of two; not a number for two empty ones.
    #[inline]
    fn overlap(&self, a: usize, b: usize) -> f32 {
        let width = (self.x2[a].min(self.x2[b]) - self.x1[a].max(self.x1[b])).max(0.0);
        let height = (self.y2[a].min(self.y2[b]) - self.y1[a].max(self.y1[b])).max(0.0);
        let both = width * height;
        both / (self.area[a] + self.area[b] - both)
    }

    fn swap(&mut self, a: usize, b: usize) {
        for column in [&mut self.x1, &mut self.y1, &mut self.x2, &mut self.y2, &mut self.area] {
            column.swap(a, b);
        }
    }
}

fn hard(boxes: &[Corners], scores: &[f32], rows: &[usize], threshold: f32) -> Vec<Kept> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let columns = Columns::of(boxes, &rows);
    let count = rows.len();
    let mut is_out = vec![false; count];
    for best in 0..count {
        if is_out[best] {
            continue;
        }
        let (x1, y1) = (columns.x1[best], columns.y1[best]);
        let (x2, y2, area) = (columns.x2[best], columns.y2[best], columns.area[best]);
        let rest = best + 1..count;
        let others = columns.x1[rest.clone()]
            .iter()
            .zip(&columns.y1[rest.clone()])
            .zip(&columns.x2[rest.clone()])
            .zip(&columns.y2[rest.clone()])
            .zip(&columns.area[rest.clone()]);
        for (is_out, ((((ox1, oy1), ox2), oy2), other)) in is_out[rest].iter_mut().zip(others) {
            let width = (x2.min(*ox2) - x1.max(*ox1)).max(0.0);
            let height = (y2.min(*oy2) - y1.max(*oy1)).max(0.0);
            let both = width * height;
            *is_out |= both / (area + other - both) > threshold;
        }
    }
    let kept = rows.into_iter().zip(is_out).filter(|(_, is_out)| !is_out);
    kept.map(|(row, _)| (row, scores[row])).collect()
}

fn soft(boxes: &[Corners], scores: &[f32], rows: &[usize], method: Soft) -> Vec<Kept> {
    let mut rows = rows.to_vec();
    let mut columns = Columns::of(boxes, &rows);
    let mut scores: Vec<f32> = rows.iter().map(|row| scores[*row]).collect();
    let mut count = rows.len();
    let mut place = 0;
    while place < count {
        let better =
            |best: usize, other: usize| if scores[best] < scores[other] { other } else { best };
        let best = (place..count).fold(place, better);
        columns.swap(place, best);
        scores.swap(place, best);
        rows.swap(place, best);
        let mut other = place + 1;
        while other < count {
            let overlap = columns.overlap(place, other);
            let weight = match method.decay {
                Decay::Naive if overlap >= method.iou_threshold => 0.0,
                Decay::Linear if overlap >= method.iou_threshold => 1.0 - overlap,
                Decay::Naive | Decay::Linear => 1.0,
                Decay::Gaussian(sigma) => (-(overlap * overlap) / sigma).exp(),
            };
            scores[other] *= weight;
            if scores[other] < method.min_score {
                count -= 1;
                columns.swap(other, count);
                scores.swap(other, count);
                rows.swap(other, count);
            } else {
                other += 1;
            }
        }
        place += 1;
    }
    rows.into_iter().zip(scores).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn detection(x: f32, score: f32, label: i64) -> Detection {
        Detection { bbox: [x, 0.0, x + 8.0, 8.0], score, label }
    }

    fn scores(boxes: &[Detection]) -> Vec<f32> {
        boxes.iter().map(|detection| detection.score).collect()
    }

    fn heap() -> Vec<Detection> {
        vec![
            detection(0.0, 0.5, 0),
            detection(1.0, 0.9, 0), // overlap with the first 7 / 9
            detection(6.0, 0.4, 0), // overlap with the second 3 / 13
            detection(1.0, 0.3, 1),
        ]
    }

    #[test]
    fn the_best_of_a_heap_stays_and_a_box_of_another_class_too() {
        let half = Suppression::hard(0.5);
        assert_eq!(scores(&half.apply(heap())), [0.9, 0.4, 0.3]);
        let agnostic = Suppression { class_agnostic: true, ..half };
        assert_eq!(scores(&agnostic.apply(heap())), [0.9, 0.4]);
        let one = Suppression { most: Some(1), ..half };
        assert_eq!(scores(&one.apply(heap())), [0.9]);
        let split = Suppression { split_from: 1, ..half };
        assert_eq!(split.apply(heap()), half.apply(heap()));
    }

    #[test]
    fn a_class_reaches_the_one_before_by_negative_coordinates_as_in_mmcv_unless_they_are_split() {
        // The step between classes is 9, so that the second box lies on the first one.
        let boxes = vec![
            Detection { bbox: [0.0, 0.0, 8.0, 8.0], score: 0.9, label: 0 },
            Detection { bbox: [-9.0, -9.0, -1.0, -1.0], score: 0.8, label: 1 },
        ];
        let half = Suppression::hard(0.5);
        assert_eq!(scores(&half.apply(boxes.clone())), [0.9]);
        assert_eq!(scores(&Suppression { split_from: 2, ..half }.apply(boxes)), [0.9, 0.8]);
    }

    /// Boxes in heaps, with few scores, so that many are equal; some are empty, some twice there.
    fn many(count: usize, lowest: f32, classes: i64, seed: u64) -> Vec<Detection> {
        let mut state = seed;
        let mut draw = |most: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let mut one = |_| {
            let [x, y] = [0; 2].map(|_| lowest + (draw(20) * 15 + draw(9)) as f32 * 1.37);
            let [width, height] = [0; 2].map(|_| draw(31) as f32);
            let score = draw(97) as f32 / 97.0;
            Detection {
                bbox: [x, y, x + width, y + height],
                score,
                label: draw(classes as u64) as i64,
            }
        };
        (0..count).map(&mut one).collect()
    }

    #[test]
    fn tensor_operations_keep_the_same_boxes_in_the_same_order() {
        for (case, count) in [0, 1, 2, 50, 1023, 1024, 1025, 2600].into_iter().enumerate() {
            for (lowest, classes) in [(0.0, 3), (-40.0, 3), (0.0, 1), (0.0, 80)] {
                let boxes = many(count, lowest, classes, 7 + case as u64);
                let half = Suppression::hard(0.5);
                for suppression in [
                    half,
                    Suppression::hard(0.05),
                    Suppression { class_agnostic: true, ..half },
                    Suppression { split_from: 40, ..half },
                    Suppression { split_from: 40, class_agnostic: true, ..half },
                    Suppression { most: Some(17), ..half },
                ] {
                    let by_tensors = suppression.apply_on(boxes.clone(), Device::Cpu);
                    let scalar = suppression.apply(boxes.clone());
                    assert_eq!(by_tensors, scalar, "{count} {lowest} {classes} {suppression:?}");
                }
            }
        }
    }

    #[test]
    fn threads_find_what_one_finds() {
        let half = Suppression::hard(0.5);
        let pictures: Vec<_> = (0..5).map(|picture| many(700, 0.0, 4, picture)).collect();
        assert!(pays(pictures.iter().map(Vec::len)));
        let alone: Vec<_> = pictures.iter().map(|boxes| half.apply(boxes.clone())).collect();
        assert_eq!(half.apply_all(pictures, Device::Cpu), alone);
        // A picture whose classes are shared out, against a look at each class by itself.
        let boxes = many(4000, 0.0, 6, 3);
        let mut one_by_one: Vec<Detection> = (0..6)
            .flat_map(|label| {
                let step = boxes.as_slice().iter().flat_map(|d| d.bbox).fold(0.0, f32::max) + 1.0;
                let own = boxes.iter().filter(|d| d.label == label).map(|d| Detection {
                    bbox: d.bbox.map(|number| number + label as f32 * step),
                    ..*d
                });
                Suppression { class_agnostic: true, ..half }.apply(own.collect())
            })
            .collect();
        one_by_one.sort_by(|a, b| b.score.total_cmp(&a.score));
        assert_eq!(scores(&half.apply(boxes)), scores(&one_by_one));
    }

    #[test]
    fn soft_suppression_is_left_to_the_cpu() {
        let config = json!({"type": "soft_nms", "iou_threshold": 0.5, "min_score": 0.05});
        let soft = Suppression::read(&config, "").unwrap();
        assert_eq!(soft.apply_on(heap(), Device::Cpu), soft.apply(heap()));
    }

    #[test]
    fn soft_suppression_lowers_scores_and_orders_by_the_new_ones() {
        let soft = |method: &str| {
            let config = json!({"type": "soft_nms", "iou_threshold": 0.5, "method": method,
                "min_score": 0.05});
            scores(&Suppression::read(&config, "").unwrap().apply(heap()))
        };
        let linear = soft("linear");
        assert_eq!(linear[..3], [0.9, 0.4, 0.3]);
        assert!((linear[3] - 0.5 * (1.0 - 7.0 / 9.0)).abs() < 1e-6);
        assert_eq!(soft("naive"), [0.9, 0.4, 0.3]);
        let gaussian = soft("gaussian");
        let expected = 0.4 * (-(3.0_f32 / 13.0).powi(2) / 0.5).exp();
        assert!((gaussian[1] - expected).abs() < 1e-3, "{gaussian:?}");
    }
}
