//! Anchors: boxes of several sizes and shapes at each place of each map.
//!
//! Source: arXiv 1506.01497 section 3.1.1; MMDetection `models/task_modules/prior_generators/anchor_generator.py`.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision};
use tch::{Device, Tensor};

use crate::boxes::Corners;

/// Height and width of a map.
pub(crate) type MapSize = (i64, i64);

/// Makes anchors, and keeps those of the sizes that have come up.
#[derive(Debug)]
pub(crate) struct AnchorGenerator {
    strides: Vec<[i64; 2]>,
    /// The anchors of the first place of each map.
    first: Vec<Vec<Corners>>,
    device: Device,
    known: HashMap<Vec<MapSize>, Rc<Anchors>>,
}

/// The anchors of all maps, one map after another: rows of places, all anchors of a place together.
#[derive(Debug)]
pub(crate) struct Anchors {
    /// Shapes: [P, 4] f32, corners in pixels.
    pub(crate) boxes: Tensor,
    /// The same on the CPU.
    pub(crate) corners: Vec<Corners>,
    /// Anchors of each map.
    pub(crate) counts: Vec<usize>,
    /// Size and anchors per place of each map.
    maps: Vec<(MapSize, usize)>,
}

impl AnchorGenerator {
    pub(crate) fn read(
        value: &Json,
        path: &str,
        device: Device,
    ) -> Result<AnchorGenerator, ComponentError> {
        let declared: vision::AnchorGenerator = read(value, path)?;
        let strides: Vec<[i64; 2]> = declared.strides.iter().map(|s| s.both()).collect();
        let sizes: Vec<f64> = match &declared.base_sizes {
            Some(sizes) => sizes.clone(),
            None => strides.iter().map(|[x, y]| *x.min(y) as f64).collect(),
        };
        let center = |level: usize| match &declared.centers {
            Some(centers) => centers[level],
            None => (declared.center_offset * sizes[level], declared.center_offset * sizes[level]),
        };
        let first = (0..strides.len())
            .map(|level| first_anchors(&declared, sizes[level] as f32, center(level)))
            .collect();
        Ok(AnchorGenerator { strides, first, device, known: HashMap::new() })
    }

    /// Maps that it makes anchors for.
    pub(crate) fn levels(&self) -> usize {
        self.strides.len()
    }

    /// Anchors at each place of the first map.
    pub(crate) fn per_place(&self) -> i64 {
        self.first.first().map_or(0, Vec::len) as i64
    }

    /// The anchors of maps of these sizes.
    pub(crate) fn get(&mut self, maps: &[MapSize]) -> Rc<Anchors> {
        if let Some(known) = self.known.get(maps) {
            return Rc::clone(known);
        }
        // Pictures of many sizes would fill the memory.
        if self.known.len() >= 32 {
            self.known.clear();
        }
        let made = Rc::new(self.make(maps));
        self.known.insert(maps.to_vec(), Rc::clone(&made));
        made
    }

    fn make(&self, maps: &[MapSize]) -> Anchors {
        let mut corners = Vec::new();
        let mut counts = Vec::new();
        for ((&(height, width), [step_x, step_y]), first) in
            maps.iter().zip(&self.strides).zip(&self.first)
        {
            let before = corners.len();
            for y in 0..height {
                for x in 0..width {
                    let (x, y) = ((x * step_x) as f32, (y * step_y) as f32);
                    corners.extend(first.iter().map(|a| [a[0] + x, a[1] + y, a[2] + x, a[3] + y]));
                }
            }
            counts.push(corners.len() - before);
        }
        let boxes = Tensor::from_slice(corners.as_flattened()).view([-1, 4]).to_device(self.device);
        let maps = maps.iter().copied().zip(self.first.iter().map(Vec::len)).collect();
        Anchors { boxes, corners, counts, maps }
    }

    /// Which anchors stand at places within a picture of (height, width), its padding included; with a border, only those
    /// that stand over the rim of the picture itself by less than that.
    pub(crate) fn inside(
        &self,
        anchors: &Anchors,
        padded: [usize; 2],
        picture: [usize; 2],
        allowed_border: i64,
    ) -> Vec<bool> {
        let mut inside = Vec::with_capacity(anchors.corners.len());
        for (((height, width), per_place), [step_x, step_y]) in
            anchors.maps.iter().zip(&self.strides)
        {
            let rows = (padded[0] as i64 + step_y - 1) / step_y;
            let columns = (padded[1] as i64 + step_x - 1) / step_x;
            for y in 0..*height {
                for x in 0..*width {
                    let is_inside = y < rows && x < columns;
                    inside.extend(std::iter::repeat_n(is_inside, *per_place));
                }
            }
        }
        if allowed_border >= 0 {
            let border = allowed_border as f32;
            let (height, width) = (picture[0] as f32, picture[1] as f32);
            for (inside, [x1, y1, x2, y2]) in inside.iter_mut().zip(&anchors.corners) {
                *inside &= *x1 >= -border
                    && *y1 >= -border
                    && *x2 < width + border
                    && *y2 < height + border;
            }
        }
        inside
    }
}

/// In single precision and in MMDetection's order of operations, so that the numbers are the same to the last bit.
fn first_anchors(
    declared: &vision::AnchorGenerator,
    size: f32,
    (x, y): (f64, f64),
) -> Vec<Corners> {
    let (x, y) = (x as f32, y as f32);
    let scales: Vec<f32> = declared.all_scales().iter().map(|scale| *scale as f32).collect();
    let ratios: Vec<(f32, f32)> = declared
        .ratios
        .iter()
        .map(|ratio| (*ratio as f32).sqrt())
        .map(|height| (1.0 / height, height))
        .collect();
    let one = |width: f32, height: f32| {
        [x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height]
    };
    let by_ratio = |(w, h): &(f32, f32)| {
        let (w, h) = (size * w, size * h);
        scales.iter().map(|scale| one(w * scale, h * scale)).collect::<Vec<_>>()
    };
    let by_scale = |scale: &f32| {
        let size = size * scale;
        ratios.iter().map(|(w, h)| one(size * w, size * h)).collect::<Vec<_>>()
    };
    if declared.scale_major {
        ratios.iter().flat_map(by_ratio).collect()
    } else {
        scales.iter().flat_map(by_scale).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn generator(mut config: Json) -> AnchorGenerator {
        config["type"] = json!("AnchorGenerator");
        AnchorGenerator::read(&config, "", Device::Cpu).unwrap()
    }

    #[test]
    fn anchors_stand_around_the_corner_of_each_place() {
        let config = json!({"strides": [16], "ratios": [1.0], "scales": [1.0], "base_sizes": [9]});
        let anchors = generator(config).get(&[(1, 2)]);
        assert_eq!(anchors.corners, [[-4.5, -4.5, 4.5, 4.5], [11.5, -4.5, 20.5, 4.5]]);
        assert_eq!(anchors.counts, [2]);
    }

    #[test]
    fn octaves_and_ratios_give_all_pairs() {
        let config = json!({"strides": [[8, 8], [16, 32]], "ratios": [0.25, 4.0],
            "octave_base_scale": 4, "scales_per_octave": 2});
        let mut generator = generator(config);
        assert_eq!((generator.levels(), generator.per_place()), (2, 4));
        let anchors = generator.get(&[(1, 1), (1, 2)]);
        // Side 8 x 4, ratio 1/4: 64 wide and 16 high.
        assert_eq!(anchors.corners[0], [-32.0, -8.0, 32.0, 8.0]);
        let second = anchors.corners[1];
        assert!((second[2] - 32.0 * 2.0_f32.sqrt()).abs() < 1e-4);
        // The second map's step is 16 in x; its base size is the smaller stride.
        assert_eq!(anchors.corners[8], [-64.0 + 16.0, -16.0, 64.0 + 16.0, 16.0]);
    }

    #[test]
    fn places_in_the_padding_of_a_batch_do_not_count() {
        let config = json!({"strides": [8], "ratios": [1.0], "scales": [1.0]});
        let mut generator = generator(config);
        let anchors = generator.get(&[(2, 3)]);
        let inside = |border| generator.inside(&anchors, [8, 16], [8, 12], border);
        assert_eq!(inside(-1), [true, true, false, false, false, false]);
        // The second one reaches 12, which is the picture's width.
        assert_eq!(inside(4), [true, true, false, false, false, false]);
        assert_eq!(inside(0), [false; 6]);
    }
}
