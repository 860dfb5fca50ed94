//! Where the head's predictions are anchored: a point per cell of each map.

use std::collections::HashMap;
use std::rc::Rc;

use tch::{Device, Tensor};

use crate::sim_ota::PriorCenter;

/// The priors of all levels for one size of pictures.
#[derive(Debug)]
pub(super) struct Priors {
    /// Corner of the cell that boxes are counted from, and stride.
    ///
    /// Shapes: [P, 2] and [P, 1] f32. Units: pixels.
    pub(super) points: Tensor,
    pub(super) strides: Tensor,
    /// Centres of the cells, which the assignment goes by.
    pub(super) centers: Vec<PriorCenter>,
}

impl Priors {
    fn new(map_sizes: &[(i64, i64)], strides: &[i64], device: Device) -> Priors {
        let mut cells: Vec<[f32; 3]> = Vec::new();
        for (&(height, width), &stride) in map_sizes.iter().zip(strides) {
            for y in 0..height {
                cells.extend(
                    (0..width).map(|x| [(x * stride) as f32, (y * stride) as f32, stride as f32]),
                );
            }
        }
        let center = |[x, y, stride]: &[f32; 3]| PriorCenter {
            x: x + stride * 0.5,
            y: y + stride * 0.5,
            stride: *stride,
        };
        let table = Tensor::from_slice(cells.as_flattened()).view([-1, 3]).to_device(device);
        Priors {
            points: table.narrow(1, 0, 2),
            strides: table.narrow(1, 2, 1),
            centers: cells.iter().map(center).collect(),
        }
    }

    /// Boxes from predictions.
    ///
    /// Shapes: `predicted` [..., P, 4]; `points` and `strides` [P, 2] and [P, 1]; the result as
    /// `predicted`, corners x1, y1, x2, y2 in pixels.
    pub(super) fn decode(predicted: &Tensor, points: &Tensor, strides: &Tensor) -> Tensor {
        let center = predicted.narrow(-1, 0, 2) * strides + points;
        let half = predicted.narrow(-1, 2, 2).exp() * strides * 0.5;
        Tensor::cat(&[&center - &half, &center + &half], -1)
    }
}

/// Keeps the priors of the sizes that have come up: random sizes are few.
#[derive(Debug)]
pub(super) struct PriorCache {
    strides: Vec<i64>,
    device: Device,
    known: HashMap<Vec<(i64, i64)>, Rc<Priors>>,
}

impl PriorCache {
    pub(super) fn new(strides: Vec<i64>, device: Device) -> PriorCache {
        PriorCache { strides, device, known: HashMap::new() }
    }

    pub(super) fn get(&mut self, map_sizes: &[(i64, i64)]) -> Rc<Priors> {
        let make = || Rc::new(Priors::new(map_sizes, &self.strides, self.device));
        Rc::clone(self.known.entry(map_sizes.to_vec()).or_insert_with(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_corners_of_cells_and_centers_half_a_stride_further() {
        let priors = Priors::new(&[(1, 2), (1, 1)], &[8, 16], Device::Cpu);
        let points = Vec::<f32>::try_from(priors.points.reshape([-1])).unwrap();
        assert_eq!(points, [0.0, 0.0, 8.0, 0.0, 0.0, 0.0]);
        assert_eq!(priors.centers[1], PriorCenter { x: 12.0, y: 4.0, stride: 8.0 });
        assert_eq!(priors.centers[2], PriorCenter { x: 8.0, y: 8.0, stride: 16.0 });
    }

    #[test]
    fn decoding_scales_offsets_by_the_stride_and_sizes_by_their_exponential() {
        let priors = Priors::new(&[(1, 2)], &[8], Device::Cpu);
        let predicted = Tensor::from_slice(&[0.5_f32, 0.5, 0.0, 2.0_f32.ln()]).view([1, 4]);
        let predicted = predicted.repeat([2, 1]);
        let boxes = Priors::decode(&predicted, &priors.points, &priors.strides);
        let values = Vec::<f32>::try_from(boxes.reshape([-1])).unwrap();
        assert_eq!(values, [0.0, -4.0, 8.0, 12.0, 8.0, -4.0, 16.0, 12.0]);
    }
}
