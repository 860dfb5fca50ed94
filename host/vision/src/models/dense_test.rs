//! Which boxes of a head without regions are kept: `test_cfg` of one-stage detectors.
//!
//! Source: MMDetection `models/dense_heads/base_dense_head.py`, `models/utils/misc.py` (`filter_scores_and_topk`).

use serde_json::Value as Json;
use snaphook_components::{ComponentError, read, vision as declared};
use snaphook_data::Detection;
use tch::{Device, Kind, Tensor};

use crate::boxes::{Corners, to_host};
use crate::nms::Suppression;

/// What `test_cfg` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DenseTest {
    pub(super) best_of_map: Option<i64>,
    pub(super) score_threshold: f64,
    pub(super) suppression: Suppression,
    pub(super) smallest_side: f32,
    pub(super) most: Option<usize>,
}

/// The best predictions of a map.
pub(super) struct BestOfMap {
    /// Rows of the map. Shapes: [K] i64.
    pub(super) rows: Tensor,
    /// Class of each.
    pub(super) labels: Vec<i64>,
    /// Score of each. Shapes: [K] f32.
    pub(super) scores: Tensor,
}

/// Those of RetinaNet's and FCOS's validation.
impl Default for DenseTest {
    fn default() -> DenseTest {
        DenseTest {
            best_of_map: Some(1000),
            score_threshold: 0.05,
            suppression: Suppression::hard(0.5),
            smallest_side: 0.0,
            most: Some(100),
        }
    }
}

impl DenseTest {
    pub(super) fn read(value: &Json, path: &str) -> Result<DenseTest, ComponentError> {
        let declared: declared::DenseTestCfg = read(value, path)?;
        Ok(DenseTest {
            best_of_map: Some(declared.nms_pre).filter(|most| *most > 0),
            score_threshold: f64::from(declared.score_thr),
            suppression: Suppression::read(&declared.nms, &format!("{path}.nms"))?,
            smallest_side: declared.min_bbox_size,
            most: usize::try_from(declared.max_per_img).ok(),
        })
    }

    /// The best scores above the threshold, whatever their class.
    ///
    /// Shapes: `scores` [P, classes] f32.
    pub(super) fn best_of(&self, scores: &Tensor) -> BestOfMap {
        let columns = scores.size()[1];
        let flat = scores.reshape([-1]);
        let above = flat.gt(self.score_threshold).nonzero().squeeze_dim(1);
        let (ranked, order) = flat.index_select(0, &above).sort_stable(true, 0, true);
        let count = ranked.size()[0];
        let most = self.best_of_map.map_or(count, |most| most.min(count));
        let places = above.index_select(0, &order.narrow(0, 0, most));
        let rows = places.divide_scalar_mode(columns, "floor");
        let labels = to_host(&(places - &rows * columns).to_kind(Kind::Float));
        BestOfMap {
            rows,
            labels: labels.into_iter().map(|label| label as i64).collect(),
            scores: ranked.narrow(0, 0, most),
        }
    }

    /// What is left of the boxes of all maps, best first, for each picture; `device` is where they come from.
    pub(super) fn keep(
        &self,
        mut found: Vec<Vec<Detection>>,
        device: Device,
    ) -> Vec<Vec<Detection>> {
        let smallest = self.smallest_side;
        if smallest >= 0.0 {
            let is_large = |[x1, y1, x2, y2]: Corners| x2 - x1 > smallest && y2 - y1 > smallest;
            found.iter_mut().for_each(|own| own.retain(|found| is_large(found.bbox)));
        }
        let mut kept = self.suppression.apply_all(found, device);
        kept.iter_mut().for_each(|own| own.truncate(self.most.unwrap_or(usize::MAX)));
        kept
    }
}

/// Boxes in pixels of the original picture; factors are inverted first, as in MMDetection.
pub(super) fn to_original(corners: Corners, [x, y]: [f32; 2]) -> Corners {
    let (x, y) = ((1.0 / f64::from(x)) as f32, (1.0 / f64::from(y)) as f32);
    [corners[0] * x, corners[1] * y, corners[2] * x, corners[3] * y]
}
