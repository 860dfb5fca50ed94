//! Where the head predicts: the middle of each cell of each map. Knows nothing of boxes to be found.
//!
//! Source: MMDetection `models/task_modules/prior_generators/point_generator.py`, `MlvlPointGenerator`.

use std::collections::HashMap;
use std::rc::Rc;

use tch::{Device, Tensor};

/// The places of all maps for one size of pictures, fine to coarse.
#[derive(Debug)]
pub(super) struct Places {
    /// Units: pixels.
    pub(super) points: Vec<[f32; 2]>,
    /// The same on the head's device. Shapes: [P, 2] f32.
    pub(super) table: Tensor,
    /// Places of each map.
    pub(super) counts: Vec<usize>,
}

impl Places {
    fn new(map_sizes: &[(i64, i64)], strides: &[i64], device: Device) -> Places {
        let (mut points, mut counts) = (Vec::new(), Vec::new());
        for (&(height, width), &stride) in map_sizes.iter().zip(strides) {
            let at = |cell: i64| ((cell as f64 + 0.5) * stride as f64) as f32;
            for y in 0..height {
                points.extend((0..width).map(|x| [at(x), at(y)]));
            }
            counts.push((height * width) as usize);
        }
        let table = Tensor::from_slice(points.as_flattened()).view([-1, 2]).to_device(device);
        Places { points, table, counts }
    }
}

/// Keeps the places of the sizes that have come up.
#[derive(Debug)]
pub(super) struct PlaceCache {
    strides: Vec<i64>,
    device: Device,
    known: HashMap<Vec<(i64, i64)>, Rc<Places>>,
}

impl PlaceCache {
    pub(super) fn new(strides: Vec<i64>, device: Device) -> PlaceCache {
        PlaceCache { strides, device, known: HashMap::new() }
    }

    pub(super) fn strides(&self) -> &[i64] {
        &self.strides
    }

    pub(super) fn get(&mut self, map_sizes: &[(i64, i64)]) -> Rc<Places> {
        let make = || Rc::new(Places::new(map_sizes, &self.strides, self.device));
        Rc::clone(self.known.entry(map_sizes.to_vec()).or_insert_with(make))
    }
}
