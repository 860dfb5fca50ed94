//! `YOLOXHSVRandomAug`: small random changes of hue, saturation and value.
//! Knows nothing of boxes.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::shift_hsv;
use crate::{DataError, Sample};

/// Shifts each of hue, saturation and value with probability one half.
#[derive(Debug)]
pub(super) struct YoloxHsvRandomAug {
    deltas: [f64; 3],
}

impl YoloxHsvRandomAug {
    pub(super) fn new(declared: &declared::YoloxHsvRandomAug) -> Self {
        let declared::YoloxHsvRandomAug { hue_delta, saturation_delta, value_delta } = *declared;
        Self { deltas: [hue_delta, saturation_delta, value_delta] }
    }
}

impl Transform for YoloxHsvRandomAug {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        let shifts = self.deltas.map(|delta| around.rng.uniform(-1.0, 1.0) * delta);
        let shifts = shifts.map(|shift| if around.rng.below(2) == 1 { shift as i32 } else { 0 });
        shift_hsv(&mut sample.image, shifts);
        Ok(Some(sample))
    }
}
