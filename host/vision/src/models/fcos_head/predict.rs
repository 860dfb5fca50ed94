//! Boxes from the head's outputs: of a detector, or as proposals for a second stage.

use snaphook_data::Detection;
use tch::{Kind, Tensor};

use super::FcosHead;
use super::head::Outputs;
use crate::boxes::{corners_of, to_host};
use crate::models::dense_test::{DenseTest, to_original};
use crate::models::detector::HeadInput;
use crate::nn::Mode;
use crate::preprocess::PictureShape;

impl FcosHead {
    /// The boxes of each picture, best first, in the original's pixels.
    pub(crate) fn boxes(&mut self, input: &HeadInput<'_>, test: &DenseTest) -> Vec<Vec<Detection>> {
        let outputs = self.forward(input.features, input.mode);
        self.boxes_of(&outputs, input.shapes, test)
    }

    /// The same of maps that were looked at, in pixels of the batch.
    ///
    /// In training, too, distances are in pixels: with `norm_on_bbox`, MMDetection takes them for strides there.
    pub(crate) fn proposals(
        &mut self,
        outputs: &Outputs,
        shapes: &[PictureShape],
        keep: &DenseTest,
    ) -> Vec<Vec<Detection>> {
        let unscaled = |shape: &PictureShape| PictureShape { scale: [1.0; 2], ..*shape };
        let shapes: Vec<PictureShape> = shapes.iter().map(unscaled).collect();
        self.boxes_of(outputs, &shapes, keep)
    }

    /// The outputs for proposals.
    pub(crate) fn look(&self, features: &[Tensor], mode: Mode) -> Outputs {
        self.forward(features, mode)
    }

    fn boxes_of(
        &mut self,
        outputs: &Outputs,
        shapes: &[PictureShape],
        test: &DenseTest,
    ) -> Vec<Vec<Detection>> {
        let places = self.places.get(&outputs.sizes);
        let picture = |(i, shape): (usize, &PictureShape)| {
            let (mut found, mut first) = (Vec::new(), 0);
            for (level, count) in places.counts.iter().enumerate() {
                let points = places.table.narrow(0, first, *count as i64);
                first += *count as i64;
                found.extend(self.best_of_map(outputs, (level, i as i64), &points, shape, test));
            }
            found
        };
        let found = tch::no_grad(|| shapes.iter().enumerate().map(picture).collect());
        test.keep(found, places.table.device())
    }

    fn best_of_map(
        &self,
        outputs: &Outputs,
        (level, picture): (usize, i64),
        points: &Tensor,
        shape: &PictureShape,
        test: &DenseTest,
    ) -> Vec<Detection> {
        let own = |maps: &[Tensor]| maps[level].detach().select(0, picture);
        let best = test.best_of(&self.losses.cls.scores(&own(&outputs.classes)));
        let mut distances = own(&outputs.distances).index_select(0, &best.rows);
        if self.in_strides {
            distances *= self.places.strides()[level];
        }
        let near = own(&outputs.centerness).index_select(0, &best.rows).sigmoid();
        let rim = self.clips_border.then_some(shape.size);
        let boxes = decode(&points.index_select(0, &best.rows), &distances, rim);
        let scores = to_host(&(best.scores * near).to_kind(Kind::Float));
        let rows = corners_of(&boxes).into_iter().zip(scores).zip(best.labels);
        let detection = |((corners, score), label)| Detection {
            bbox: to_original(corners, shape.scale),
            score,
            label,
        };
        rows.map(detection).collect()
    }
}

/// The boxes at these distances; cut at the rim of a picture of (height, width) where one is given.
///
/// Shapes: `points` [N, 2]; `distances` and the result [N, 4].
pub(super) fn decode(points: &Tensor, distances: &Tensor, rim: Option<[usize; 2]>) -> Tensor {
    let low = points - distances.narrow(1, 0, 2);
    let high = points + distances.narrow(1, 2, 2);
    let boxes = Tensor::cat(&[low, high], 1);
    let Some([height, width]) = rim else { return boxes };
    let cut = |first: i64, most: usize| boxes.slice(1, first, None, 2).clamp(0.0, most as f64);
    let (x, y) = (cut(0, width), cut(1, height));
    let column = |side: &Tensor, place: i64| side.narrow(1, place, 1);
    Tensor::cat(&[column(&x, 0), column(&y, 0), column(&x, 1), column(&y, 1)], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_cut_at_the_rim_where_there_is_one() {
        let points = Tensor::from_slice(&[4.0_f32, 8.0]).view([1, 2]);
        let distances = Tensor::from_slice(&[5.0_f32, 2.0, 3.0, 9.0]).view([1, 4]);
        let boxes = |rim| Vec::<f32>::try_from(decode(&points, &distances, rim).view(-1)).unwrap();
        assert_eq!(boxes(None), [-1.0, 6.0, 7.0, 17.0]);
        assert_eq!(boxes(Some([10, 6])), [0.0, 6.0, 6.0, 10.0]);
    }
}
