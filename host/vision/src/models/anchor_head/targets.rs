//! Which anchor is to say what: runs the assignment and the choice on all pictures of a batch at once.

use snaphook_runner::StepContext;

use super::core::{AnchorCore, TrainSettings};
use crate::anchors::Anchors;
use crate::box_sampler::{BoxSampler, Chosen};
use crate::boxes::Corners;
use crate::losses::LabelledRows;
use crate::max_iou::Assigned;
use crate::preprocess::PictureShape;
use crate::random::{Random, Stream};
use crate::sim_ota::Targets;

/// The targets of one map, of all pictures; rows are those of [N, P] in one.
#[derive(Debug, Default)]
pub(super) struct MapTargets {
    /// Rows of the loss of classes.
    pub(super) labelled: LabelledRows,
    /// Rows of the loss of boxes.
    pub(super) positive: Vec<i64>,
    /// The anchor of each.
    pub(super) anchors: Vec<Corners>,
    /// The box that each is to find.
    pub(super) boxes: Vec<Corners>,
}

/// The targets of a batch.
#[derive(Debug)]
pub(super) struct BatchTargets {
    /// One for each map.
    pub(super) maps: Vec<MapTargets>,
    /// What losses are divided by.
    pub(super) count: f64,
}

impl AnchorCore {
    /// `background` is the label of anchors that are to find nothing; with `one_class`, all boxes are of class 0.
    pub(super) fn targets(
        &self,
        anchors: &Anchors,
        targets: &[Targets],
        shapes: &[PictureShape],
        context: &StepContext,
        one_class: bool,
    ) -> BatchTargets {
        let chosen = self.choose(anchors, targets, shapes, context);
        let count = chosen.iter().map(|chosen| count(&self.train, chosen)).sum();
        let mut maps = Vec::with_capacity(anchors.counts.len());
        let mut first = 0;
        for &length in &anchors.counts {
            let mut map = MapTargets::default();
            for (picture, (chosen, targets)) in chosen.iter().zip(targets).enumerate() {
                let own = OwnRows { first, length, picture };
                let label = |target: usize| if one_class { 0 } else { targets.labels[target] };
                for &(row, target) in own.of(&chosen.positive, |(row, _)| *row) {
                    map.labelled.push(own.place(row), label(target), self.train.positive_weight);
                    map.positive.push(own.place(row));
                    map.anchors.push(anchors.corners[row]);
                    map.boxes.push(targets.boxes[target]);
                }
                for &row in own.of(&chosen.negative, |row| *row) {
                    map.labelled.push(own.place(row), self.num_classes, 1.0);
                }
            }
            maps.push(map);
            first += length;
        }
        BatchTargets { maps, count }
    }

    /// Pictures are independent: they are shared out among as many threads as libtorch uses, which rests now.
    fn choose(
        &self,
        anchors: &Anchors,
        targets: &[Targets],
        shapes: &[PictureShape],
        context: &StepContext,
    ) -> Vec<Chosen> {
        let inside: Vec<Vec<bool>> = shapes
            .iter()
            .map(|PictureShape { size, padded, .. }| {
                self.generator.inside(anchors, *padded, *size, self.train.allowed_border)
            })
            .collect();
        let (train, corners) = (&self.train, &anchors.corners[..]);
        let one = |picture: usize| {
            let (inside, boxes) = (&inside[picture], &targets[picture].boxes);
            let assigned: Vec<Assigned> = train.assigner.assign(corners, |row| inside[row], boxes);
            let mut random = Random::of(context, Stream::Anchors, picture);
            // Heads with anchors have no losses to look at before the choice.
            train.sampler.choose(&assigned, &mut random, |mut rows, most| {
                rows.truncate(most);
                rows
            })
        };
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let share = targets.len().div_ceil(threads).max(1);
        let mut chosen: Vec<Chosen> = vec![Chosen::default(); targets.len()];
        std::thread::scope(|scope| {
            for (part, results) in chosen.chunks_mut(share).enumerate() {
                let one = &one;
                scope.spawn(move || {
                    for (i, result) in results.iter_mut().enumerate() {
                        *result = one(part * share + i);
                    }
                });
            }
        });
        chosen
    }
}

/// Where a map's rows of a picture stand.
struct OwnRows {
    first: usize,
    length: usize,
    picture: usize,
}

impl OwnRows {
    /// The part of rising `items` that belongs to the map.
    fn of<'a, T>(&self, items: &'a [T], row: impl Fn(&T) -> usize) -> &'a [T] {
        let from = items.partition_point(|item| row(item) < self.first);
        let to = items.partition_point(|item| row(item) < self.first + self.length);
        &items[from..to]
    }

    fn place(&self, row: usize) -> i64 {
        (self.picture * self.length + row - self.first) as i64
    }
}

/// What a picture adds to the divisor: its positive anchors, and with a choice at random its negative ones.
///
/// Source: MMDetection `models/task_modules/samplers/sampling_result.py`, where each counts as one at least.
fn count(train: &TrainSettings, chosen: &Chosen) -> f64 {
    let positive = chosen.positive.len().max(1);
    match train.sampler {
        BoxSampler::All => positive as f64,
        _ => (positive + chosen.negative.len().max(1)) as f64,
    }
}
