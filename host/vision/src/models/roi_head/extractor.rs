//! Features of a region from the one map that suits its size.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision as declared};
use tch::Tensor;

use crate::boxes::Corners;
use crate::roi_align::{Region, RoiAlign, align_levels};

/// Which maps there are, and how they are looked at.
#[derive(Clone, Debug)]
pub(super) struct RoiExtractor {
    pub(super) layer: RoiAlign,
    strides: Vec<i64>,
    finest_scale: f32,
}

impl RoiExtractor {
    pub(super) fn read(value: &Json, path: &str) -> Result<RoiExtractor, ComponentError> {
        let declared: declared::SingleRoiExtractor = read(value, path)?;
        Ok(RoiExtractor {
            layer: RoiAlign::read(&declared.roi_layer, &format!("{path}.roi_layer"))?,
            strides: declared.featmap_strides,
            finest_scale: declared.finest_scale,
        })
    }

    /// Maps that it takes, the finest ones.
    pub(super) fn levels(&self) -> usize {
        self.strides.len()
    }

    /// Shapes: each of `maps` [N, C, H, W]; the result [R, C, rows, columns], the channels last in memory.
    pub(super) fn forward(&self, maps: &[Tensor], regions: &[Region]) -> Tensor {
        let levels = self.strides.len();
        let level = |row: usize| self.level(&regions[row].corners, levels);
        let bins = align_levels(&self.layer, &maps[..levels], &self.strides, regions, level);
        let [rows, columns] = self.layer.output;
        let (count, _, channels) = bins.size3().expect("bins have three dimensions");
        bins.view([count, rows, columns, channels]).permute([0, 3, 1, 2])
    }

    /// Source: arXiv 1612.03144, equation 1, counted from the finest map.
    fn level(&self, [x1, y1, x2, y2]: &Corners, levels: usize) -> usize {
        let scale = ((x2 - x1) * (y2 - y1)).sqrt();
        let level = (scale / self.finest_scale + 1e-6).log2().floor();
        (level.max(0.0) as usize).min(levels - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn regions_of_twice_the_side_go_to_the_next_map() {
        let config = json!({"type": "SingleRoIExtractor", "out_channels": 8,
            "featmap_strides": [4, 8, 16, 32], "roi_layer": {"type": "RoIAlign", "output_size": 7}});
        let extractor = RoiExtractor::read(&config, "").unwrap();
        let level = |side: f32| extractor.level(&[0.0, 0.0, side, side], 4);
        assert_eq!(
            [0.0, 111.0, 112.0, 223.0, 224.0, 448.0, 9000.0].map(level),
            [0, 0, 1, 1, 2, 3, 3]
        );
    }
}
