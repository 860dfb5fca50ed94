//! `LoadAnnotations`, `FilterAnnotations` and `PackDetInputs`: the boxes' way in and out.
//! Knows nothing of pixels.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::{DataError, Sample};

/// Takes boxes and labels from the record.
#[derive(Debug)]
pub(super) struct LoadAnnotations {
    with_bbox: bool,
    with_label: bool,
}

impl LoadAnnotations {
    pub(super) fn new(declared: &declared::LoadAnnotations) -> Self {
        Self { with_bbox: declared.with_bbox, with_label: declared.with_label }
    }
}

impl Transform for LoadAnnotations {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        sample.meta.boxes_lack_scale = sample.meta.scale_factor;
        let instances = &sample.record.instances;
        if self.with_bbox {
            sample.boxes = instances.iter().map(|i| i.bbox).collect();
            sample.ignore = instances.iter().map(|i| i.ignore).collect();
        }
        if self.with_label {
            sample.labels = instances.iter().map(|i| i.label).collect();
        }
        Ok(Some(sample))
    }
}

/// Drops boxes that are too small.
#[derive(Debug)]
pub(super) struct FilterAnnotations {
    min_gt_bbox_wh: [f32; 2],
    keep_empty: bool,
}

impl FilterAnnotations {
    pub(super) fn new(declared: &declared::FilterAnnotations) -> Self {
        Self { min_gt_bbox_wh: declared.min_gt_bbox_wh.into(), keep_empty: declared.keep_empty }
    }
}

impl Transform for FilterAnnotations {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        if sample.boxes.is_empty() {
            return Ok(Some(sample));
        }
        let [width, height] = self.min_gt_bbox_wh;
        sample.retain_boxes(|b| b[2] - b[0] > width && b[3] - b[1] > height);
        // MMDetection's name says the opposite: with `keep_empty` a sample left without boxes is dropped.
        Ok((!sample.boxes.is_empty() || !self.keep_empty).then_some(sample))
    }
}

/// The end of a pipeline. A [`Sample`] always carries all its meta keys, so nothing is left to do.
#[derive(Debug)]
pub(super) struct PackDetInputs;

impl Transform for PackDetInputs {
    fn apply(&self, sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply;
    use serde_json::json;

    #[test]
    fn a_box_must_be_larger_than_the_minimum() {
        let kept = |bbox, keep_empty| {
            let config = json!({"type": "FilterAnnotations", "min_gt_bbox_wh": [1, 1], "keep_empty": keep_empty});
            apply(&config, grey_sample(9, 9, bbox)).map(|s| s.boxes.len())
        };
        assert_eq!(kept([1.0, 1.0, 3.0, 3.0], true), Some(1));
        assert_eq!(kept([1.0, 1.0, 2.0, 3.0], true), None);
        assert_eq!(kept([1.0, 1.0, 2.0, 3.0], false), Some(0));
    }

    #[test]
    fn annotations_come_from_the_record() {
        let mut sample = grey_sample(9, 9, [1.0, 1.0, 3.0, 3.0]);
        sample.retain_boxes(|_| false);
        let loaded = apply(&json!({"type": "LoadAnnotations", "with_bbox": true}), sample).unwrap();
        assert_eq!((loaded.boxes.len(), loaded.labels, loaded.ignore), (1, vec![0], vec![false]));
    }
}
