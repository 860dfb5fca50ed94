//! The losses of the head.

use snaphook_c10d::mean_over_ranks;
use snaphook_runner::Losses;
use tch::{Kind, Tensor};

use super::FcosHead;
use super::head::Outputs;
use super::places::Places;
use super::predict::decode;
use super::targets::{Found, centerness};
use crate::boxes::from_corners;
use crate::losses::LabelledRows;
use crate::nn::Mode;
use crate::sim_ota::Targets;

/// Smallest sum of the weights of boxes.
const SMALLEST_WEIGHT: f64 = 1e-6;

/// What a batch is to find; rows are those of all maps in one, of a map picture after picture.
#[derive(Debug, Default)]
struct BatchTargets {
    labelled: LabelledRows,
    /// Rows with a box to find.
    positive: Vec<i64>,
    /// The place of each.
    points: Vec<[f32; 2]>,
    /// Left, top, right, bottom of each, in the unit of the predictions.
    distances: Vec<[f32; 4]>,
}

impl FcosHead {
    /// The names of its losses.
    pub(crate) const LOSSES: [&str; 3] = ["loss_cls", "loss_bbox", "loss_centerness"];

    /// Losses of a batch. The numbers that they are divided by are means over all processes that train together.
    pub(crate) fn losses(
        &mut self,
        features: &[Tensor],
        targets: &[Targets],
        mode: Mode,
    ) -> (Losses, Outputs) {
        let outputs = self.forward(features, mode);
        let places = self.places.get(&outputs.sizes);
        let targets = self.targets(&places, targets);
        // In a validation processes do not meet.
        let mean = |own: f64| if mode == Mode::Train { mean_over_ranks(own) } else { own };
        let count = mean(targets.positive.len() as f64).max(1.0);
        let flat = |maps: &[Tensor]| {
            Tensor::cat(&maps.iter().map(|map| map.flatten(0, 1)).collect::<Vec<_>>(), 0)
        };
        let device = places.table.device();
        let classes = self.losses.cls.forward(&flat(&outputs.classes), &targets.labelled, count);
        let rows = Tensor::from_slice(&targets.positive).to_device(device);
        let distances = flat(&outputs.distances).index_select(0, &rows);
        let logits = flat(&outputs.centerness).index_select(0, &rows);
        let near: Vec<f32> = targets.distances.iter().map(|sides| centerness(*sides)).collect();
        let weight = mean(near.iter().map(|near| f64::from(*near)).sum()).max(SMALLEST_WEIGHT);
        let (boxes, middles) = if targets.positive.is_empty() {
            (distances.sum(Kind::Float), logits.sum(Kind::Float))
        } else {
            let points = Tensor::from_slice(targets.points.as_flattened()).view([-1, 2]);
            let points = points.to_device(device);
            let near = Tensor::from_slice(&near).to_device(device);
            let own = decode(&points, &distances, None);
            let wanted = decode(&points, &from_corners(&targets.distances, device), None);
            let boxes = self.losses.bbox.weighted(&own, &wanted, &near, weight);
            (boxes, self.losses.centerness.over(&logits, &near, count))
        };
        let named = Self::LOSSES.map(str::to_owned).into_iter().zip([classes, boxes, middles]);
        (Losses(named.collect()), outputs)
    }

    /// Pictures are independent: each has a thread, and libtorch rests now.
    fn targets(&self, places: &Places, targets: &[Targets]) -> BatchTargets {
        let (rules, points, counts) = (&self.rules, &places.points, &places.counts);
        let found: Vec<Vec<Option<Found>>> = std::thread::scope(|scope| {
            let running: Vec<_> = targets
                .iter()
                .map(|targets| scope.spawn(move || rules.assign(points, counts, targets)))
                .collect();
            let joined = running.into_iter().map(|thread| thread.join());
            joined.map(|found| found.expect("assignment does not panic")).collect()
        });
        let mut batch = BatchTargets::default();
        let mut first = 0;
        for (&count, &stride) in counts.iter().zip(self.places.strides()) {
            for (found, targets) in found.iter().zip(targets) {
                for place in first..first + count {
                    let row = batch.labelled.rows.len() as i64;
                    let Some(Found { target, distances }) = found[place] else {
                        batch.labelled.push(row, self.num_classes, 1.0);
                        continue;
                    };
                    // In front of regions there is one class alone.
                    let label = if self.num_classes == 1 { 0 } else { targets.labels[target] };
                    batch.labelled.push(row, label, 1.0);
                    batch.positive.push(row);
                    batch.points.push(points[place]);
                    let unit = if self.in_strides { stride as f32 } else { 1.0 };
                    batch.distances.push(distances.map(|distance| distance / unit));
                }
            }
            first += count;
        }
        batch
    }

    #[cfg(test)]
    pub(crate) fn found_targets(
        &mut self,
        input: &crate::models::detector::HeadInput<'_>,
        stage: &'static str,
    ) -> crate::golden::FoundTargets {
        let outputs = self.forward(input.features, input.mode);
        let places = self.places.get(&outputs.sizes);
        let found = self.targets(&places, input.targets);
        crate::golden::FoundTargets {
            stage,
            count: found.positive.len() as f64,
            positive: found.positive.len(),
            labelled: found.labelled.rows.len(),
            boxes: from_corners(&found.distances, tch::Device::Cpu),
        }
    }
}
