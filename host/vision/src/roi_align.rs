//! Features of regions: means of interpolated features in a grid of bins.
//!
//! Which places of a map a bin looks at, and with which weights, is worked out by threads on the CPU; the weighted sums
//! themselves are libtorch's `embedding_bag`, which has threads, a gradient and a CUDA kernel of its own. The places and
//! weights of a bin are those of its rows times those of its columns, so that a place stands in a bin's list once,
//! however many samples look at it.
//!
//! Source: arXiv 1703.06870 section 3; MMCV `ops/csrc/pytorch/cpu/roi_align.cpp`.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision};
use tch::{Device, Kind, Tensor};

use crate::boxes::Corners;

/// The numbers of the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RoiAlign {
    /// Bins: rows and columns.
    pub(crate) output: [i64; 2],
    sampling_ratio: i64,
    aligned: bool,
}

/// A region of a picture of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Region {
    /// Which picture.
    pub(crate) picture: usize,
    /// Corners in its pixels.
    pub(crate) corners: Corners,
}

/// Sizes of a map.
#[derive(Clone, Copy, Debug)]
struct Map {
    height: i64,
    width: i64,
    /// Places of the map to a pixel of the picture.
    scale: f32,
}

/// The places of all bins with their weights.
#[derive(Debug, Default)]
struct Plan {
    places: Vec<i64>,
    weights: Vec<f32>,
    /// Where each bin's places begin.
    offsets: Vec<i64>,
}

impl RoiAlign {
    pub(crate) fn read(value: &Json, path: &str) -> Result<RoiAlign, ComponentError> {
        let declared: vision::RoiAlign = read(value, path)?;
        Ok(RoiAlign {
            output: declared.output_size.both(),
            sampling_ratio: declared.sampling_ratio,
            aligned: declared.aligned,
        })
    }

    /// Means of features in the bins of each region.
    ///
    /// Shapes: `map` [N, C, H, W], a place to every `stride` pixels; the result [R, bins, C], f32, bins in rows.
    pub(crate) fn forward(&self, map: &Tensor, stride: i64, regions: &[Region]) -> Tensor {
        let (_, channels, height, width) = map.size4().expect("maps have four dimensions");
        let bins = self.output[0] * self.output[1];
        let device = map.device();
        if regions.is_empty() {
            return Tensor::zeros([0, bins, channels], (Kind::Float, device));
        }
        let plan = self.plan(regions, Map { height, width, scale: 1.0 / stride as f32 });
        // With channels last in memory, which convolutions on a CPU leave behind, the table is a view.
        let table = map.permute([0, 2, 3, 1]).reshape([-1, channels]).to_kind(Kind::Float);
        let (sums, ..) = Tensor::embedding_bag(
            &table,
            &Tensor::from_slice(&plan.places).to_device(device),
            &Tensor::from_slice(&plan.offsets).to_device(device),
            false,
            0,
            false,
            Some(&Tensor::from_slice(&plan.weights).to_device(device)),
            false,
        );
        sums.view([regions.len() as i64, bins, channels])
    }

    /// Regions are shared out among as many threads as libtorch uses, which rests now.
    fn plan(&self, regions: &[Region], map: Map) -> Plan {
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let share = regions.len().div_ceil(threads).max(1);
        let mut parts: Vec<Plan> = regions.chunks(share).map(|_| Plan::default()).collect();
        std::thread::scope(|scope| {
            for (part, regions) in parts.iter_mut().zip(regions.chunks(share)) {
                scope.spawn(move || regions.iter().for_each(|region| self.add(part, region, map)));
            }
        });
        let mut whole = Plan::default();
        for part in parts {
            let before = whole.places.len() as i64;
            whole.offsets.extend(part.offsets.iter().map(|offset| offset + before));
            whole.places.extend(part.places);
            whole.weights.extend(part.weights);
        }
        whole
    }

    fn add(&self, plan: &mut Plan, region: &Region, map: Map) {
        let shift = if self.aligned { 0.5 } else { 0.0 };
        let [x1, y1, x2, y2] = region.corners.map(|corner| corner * map.scale - shift);
        let side = |length: f32| if self.aligned { length } else { length.max(1.0) };
        let rows = self.axis(y1, side(y2 - y1), self.output[0], map.height);
        let columns = self.axis(x1, side(x2 - x1), self.output[1], map.width);
        let first = region.picture as i64 * map.height * map.width;
        for row in &rows {
            for column in &columns {
                plan.offsets.push(plan.places.len() as i64);
                for (y, row_weight) in row {
                    for (x, column_weight) in column {
                        plan.places.push(first + y * map.width + x);
                        plan.weights.push(row_weight * column_weight);
                    }
                }
            }
        }
    }

    /// For each bin of an axis, the places that its samples look at and the sums of their weights, over the number of
    /// samples.
    fn axis(&self, start: f32, length: f32, bins: i64, size: i64) -> Vec<Vec<(i64, f32)>> {
        let bin_length = length / bins as f32;
        let samples = match self.sampling_ratio {
            0 => (length / bins as f32).ceil() as i64,
            ratio => ratio,
        };
        let share = 1.0 / samples.max(1) as f32;
        let one = |bin: i64| {
            let mut places: Vec<(i64, f32)> = Vec::with_capacity(samples.max(0) as usize + 1);
            for sample in 0..samples {
                let at = start
                    + bin as f32 * bin_length
                    + (sample as f32 + 0.5) * bin_length / samples as f32;
                if at < -1.0 || at > size as f32 {
                    continue;
                }
                let at = at.max(0.0);
                let low = (at as i64).min(size - 1);
                let high = (low + 1).min(size - 1);
                let part = if low == size - 1 { 0.0 } else { at - low as f32 };
                add_weight(&mut places, low, (1.0 - part) * share);
                add_weight(&mut places, high, part * share);
            }
            places
        };
        (0..bins).map(one).collect()
    }
}

/// Places come in rising order, so that one that is there already is among the last two.
fn add_weight(places: &mut Vec<(i64, f32)>, place: i64, weight: f32) {
    if weight == 0.0 {
        return;
    }
    match places.iter_mut().rev().find(|(known, _)| *known == place) {
        Some((_, sum)) => *sum += weight,
        None => places.push((place, weight)),
    }
}

/// As [`RoiAlign::forward`], for regions on several maps.
///
/// Shapes: each of `maps` [N, C, H, W]; the result [R, bins, C] in the order of `regions`; `level(i)` is the map of region
/// i.
pub(crate) fn align_levels(
    layer: &RoiAlign,
    maps: &[Tensor],
    strides: &[i64],
    regions: &[Region],
    level: impl Fn(usize) -> usize,
) -> Tensor {
    let device = maps.first().map_or(Device::Cpu, Tensor::device);
    let mut order: Vec<usize> = Vec::with_capacity(regions.len());
    let mut parts = Vec::with_capacity(maps.len());
    for (index, (map, stride)) in maps.iter().zip(strides).enumerate() {
        let rows: Vec<usize> = (0..regions.len()).filter(|row| level(*row) == index).collect();
        if rows.is_empty() {
            continue;
        }
        let own: Vec<Region> = rows.iter().map(|row| regions[*row]).collect();
        parts.push(layer.forward(map, *stride, &own));
        order.extend(rows);
    }
    match parts.len() {
        0 => layer.forward(&maps[0], strides[0], &[]),
        1 => parts.remove(0),
        _ => {
            let mut back = vec![0_i64; order.len()];
            order.iter().enumerate().for_each(|(place, row)| back[*row] = place as i64);
            Tensor::cat(&parts, 0).index_select(0, &Tensor::from_slice(&back).to_device(device))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layer(output: i64, ratio: i64, aligned: bool) -> RoiAlign {
        let config = json!({"type": "RoIAlign", "output_size": output, "sampling_ratio": ratio,
            "aligned": aligned});
        RoiAlign::read(&config, "").unwrap()
    }

    fn region(corners: Corners) -> Region {
        Region { picture: 0, corners }
    }

    /// A map that rises by 1 to the right and by 10 downwards: means of samples are values in the middle.
    fn ramp(side: i64) -> Tensor {
        let line = Tensor::arange(side, (Kind::Float, Device::Cpu));
        (line.view([1, -1]) + line.view([-1, 1]) * 10.0).view([1, 1, side, side])
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn a_bin_of_a_plane_has_the_value_in_its_middle() {
        // Places of 1 pixel, values belong to middles: a bin from 2 to 4 has its middle at place 2.5.
        let found = layer(2, 0, true).forward(&ramp(8), 1, &[region([2.0, 2.0, 6.0, 6.0])]);
        assert_eq!(values(&found), [27.5, 29.5, 47.5, 49.5]);
        // Without alignment, values belong to corners.
        let found = layer(2, 2, false).forward(&ramp(8), 1, &[region([2.0, 2.0, 6.0, 6.0])]);
        assert_eq!(values(&found), [33.0, 35.0, 53.0, 55.0]);
    }

    #[test]
    fn samples_far_outside_count_as_zero_and_those_at_the_rim_as_the_rim() {
        let ones = Tensor::ones([1, 1, 4, 4], (Kind::Float, Device::Cpu));
        // Columns of samples at -3.5 to 3.5; -3.5 to -1.5 are more than a place away.
        let found = layer(1, 8, true).forward(&ones, 1, &[region([-3.5, 0.0, 4.5, 4.0])]);
        assert_eq!(values(&found), [5.0 / 8.0]);
        let found = layer(1, 2, true).forward(&ones, 1, &[region([0.0, 0.0, 0.0, 0.0])]);
        assert_eq!(values(&found), [1.0]);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        tch::set_num_threads(2);
        tch::manual_seed(3);
        let maps: Vec<Tensor> = [6, 3]
            .iter()
            .map(|side| Tensor::randn([2, 3, *side, *side], (Kind::Float, Device::Cpu)))
            .collect();
        let regions = [
            region([1.0, 2.0, 30.0, 40.0]),
            Region { picture: 1, corners: [-9.0, 3.3, 17.0, 21.7] },
            Region { picture: 1, corners: [10.0, 10.0, 47.0, 46.0] },
        ];
        let weights = Tensor::randn([3, 9, 3], (Kind::Float, Device::Cpu));
        let value = |maps: &[Tensor]| {
            let found = align_levels(&layer(3, 0, true), maps, &[8, 16], &regions, |i| i % 2);
            (found * &weights).sum(Kind::Double)
        };
        let leaves: Vec<Tensor> =
            maps.iter().map(|map| map.copy().set_requires_grad(true)).collect();
        value(&leaves).backward();
        for (level, map) in maps.iter().enumerate() {
            let gradient = values(&leaves[level].grad());
            for (place, gradient) in gradient.iter().enumerate() {
                let moved = |step: f64| {
                    let mut moved: Vec<Tensor> = maps.iter().map(Tensor::copy).collect();
                    let _ = moved[level].view([-1]).narrow(0, place as i64, 1).g_add_scalar_(step);
                    moved[level] = moved[level].view_as(map);
                    value(&moved).double_value(&[])
                };
                // The sum is linear in the map, so that a large step is exact but for rounding.
                let difference = (moved(0.5) - moved(-0.5)) as f32;
                assert!((difference - gradient).abs() < 1e-4, "{level} {place}");
            }
        }
    }

    #[test]
    fn no_regions_give_no_rows() {
        let found = align_levels(&layer(7, 0, true), &[ramp(4)], &[4], &[], |_| 0);
        assert_eq!(found.size(), [0, 49, 1]);
    }
}
