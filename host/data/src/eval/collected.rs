//! What was found in each picture, before it is scored.
//! Knows nothing of metrics.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Detection;
use crate::ImageId;

/// The detections of each picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Collected {
    found: BTreeMap<ImageId, Vec<Detection>>,
}

impl Collected {
    /// A second time for the same picture replaces the first.
    pub(super) fn add(&mut self, image_id: &ImageId, detections: Vec<Detection>) {
        self.found.insert(image_id.clone(), detections);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ImageId, &[Detection])> {
        self.found.iter().map(|(id, detections)| (id, detections.as_slice()))
    }

    pub(super) fn of(&self, image_id: &ImageId) -> &[Detection] {
        self.found.get(image_id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has(&self, image_id: &ImageId) -> bool {
        self.found.contains_key(image_id)
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// COCO's results format: one object for each detection, with `image_id`, `category_id`, `bbox` (x, y, width,
    /// height) and `score`.
    pub(super) fn results(&self, category_ids: &[i64]) -> Value {
        let result = |id: &ImageId, detection: &Detection| {
            let category = category_ids.get(usize::try_from(detection.label).ok()?)?;
            let [x1, y1, x2, y2] = detection.bbox.map(f64::from);
            let bbox = [x1, y1, x2 - x1, y2 - y1];
            let score = f64::from(detection.score);
            Some(json!({"image_id": id, "category_id": category, "bbox": bbox, "score": score}))
        };
        let each = |(id, found): (&ImageId, &[Detection])| {
            found.iter().filter_map(|detection| result(id, detection)).collect::<Vec<_>>()
        };
        self.iter().flat_map(each).collect()
    }
}
