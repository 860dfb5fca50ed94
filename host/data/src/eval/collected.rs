//! What was found in each picture, before it is scored: can be told to another process and put together in any order.
//! Knows nothing of metrics.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Detection;
use crate::{DataError, ImageId};

/// A picture's detections: left, top, right, bottom and score as bits, and the class.
type Packed = (ImageId, Vec<([u32; 5], i64)>);

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

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// All of it; numbers as bits, so that they come back as they were, those that JSON does not know included.
    pub(super) fn state(&self) -> Value {
        let numbers = |found: &Detection| {
            let [left, top, right, bottom] = found.bbox;
            ([left, top, right, bottom, found.score].map(f32::to_bits), found.label)
        };
        let packed = |(id, found): (&ImageId, &[Detection])| -> Packed {
            (id.clone(), found.iter().map(numbers).collect())
        };
        json!(self.iter().map(packed).collect::<Vec<Packed>>())
    }

    /// Adds what another process collected.
    pub(super) fn merge(&mut self, state: &Value, owner: &str) -> Result<(), DataError> {
        let wrong = |error: serde_json::Error| {
            let reason = format!("expected results of another process, found otherwise: {error}");
            DataError::config(owner, reason)
        };
        let packed: Vec<Packed> = serde::Deserialize::deserialize(state).map_err(wrong)?;
        for (id, numbers) in packed {
            let detection = |(bits, label): ([u32; 5], i64)| {
                let [left, top, right, bottom, score] = bits.map(f32::from_bits);
                Detection { bbox: [left, top, right, bottom], score, label }
            };
            self.found.insert(id, numbers.into_iter().map(detection).collect());
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(x: f32) -> Detection {
        Detection { bbox: [x, 0.1, 0.3, 7.7], score: 0.123_456_79, label: 2 }
    }

    #[test]
    fn states_come_back_bit_for_bit_in_any_order() {
        let mut whole = Collected::default();
        let mut parts = [Collected::default(), Collected::default()];
        for number in 0..7i64 {
            let found = vec![detection(number as f32 / 3.0); number as usize % 3];
            whole.add(&number.into(), found.clone());
            parts[number as usize % 2].add(&number.into(), found);
        }
        // The last picture is on both ranks, as padding makes it.
        parts[1].add(&6.into(), whole.of(&6.into()).to_vec());
        for order in [[0, 1], [1, 0]] {
            let mut merged = Collected::default();
            for part in order {
                let text = parts[part].state().to_string();
                merged.merge(&serde_json::from_str(&text).unwrap(), "CocoMetric").unwrap();
            }
            assert_eq!(merged, whole);
        }
        assert!(whole.merge(&json!({"a": 1}), "CocoMetric").is_err());
        let mut odd = Collected::default();
        odd.add(&1.into(), vec![Detection { score: f32::NAN, ..detection(1.0) }]);
        let mut other = Collected::default();
        other.merge(&odd.state(), "CocoMetric").unwrap();
        assert!(other.of(&1.into())[0].score.is_nan());
    }
}
