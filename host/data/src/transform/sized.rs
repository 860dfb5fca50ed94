//! Which arguments of transforms say how large pictures become, and the same transforms with another size.
//! Knows nothing of what transforms do.
//!
//! Source: `update_dynamic_scale` in `mmdet/datasets/dataset_wrappers.py` of MMDetection 2.28, whose size `Resize` and
//! `MixUp` took in place of their own, wherever they stood in the pipeline.

use serde_json::{Map, Value, json};
use snaphook_components::plain_type;

/// The transforms that follow a size, and the argument that is it.
const SIZED: [(&str, &str); 2] = [("Resize", "scale"), ("MixUp", "img_scale")];

/// The transform of a configuration entry with another size, also of those inside of it; `None` where nothing in it has
/// one.
pub(super) fn with_scale(entry: &Value, scale: [u64; 2]) -> Option<Value> {
    let mut changed = entry.clone();
    set_scale(&mut changed, scale).then_some(changed)
}

fn set_scale(entry: &mut Value, scale: [u64; 2]) -> bool {
    match entry {
        Value::Array(entries) => entries.iter_mut().fold(false, |any, e| set_scale(e, scale) | any),
        Value::Object(map) => {
            let inner = map.values_mut().fold(false, |any, value| set_scale(value, scale) | any);
            set_own(map, scale) | inner
        }
        _ => false,
    }
}

fn set_own(transform: &mut Map<String, Value>, scale: [u64; 2]) -> bool {
    let name = transform.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some((_, key)) = SIZED.iter().find(|(known, _)| *known == plain_type(name)) else {
        return false;
    };
    // A factor would say another size.
    transform.remove("scale_factor");
    transform.insert((*key).to_owned(), json!(scale));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_change_wherever_they_stand() {
        let nested = json!({"type": "RandomApply", "transforms": [{"type": "mmdet.Resize", "scale_factor": 0.5}]});
        let expected = json!({"type": "RandomApply", "transforms": [{"type": "mmdet.Resize", "scale": [32, 64]}]});
        assert_eq!(with_scale(&nested, [32, 64]), Some(expected));
        let mixing = json!({"type": "MixUp", "img_scale": [1, 2], "pad_val": 3.0});
        let expected = json!({"type": "MixUp", "img_scale": [32, 64], "pad_val": 3.0});
        assert_eq!(with_scale(&mixing, [32, 64]), Some(expected));
    }

    #[test]
    fn other_transforms_stay() {
        assert_eq!(with_scale(&json!({"type": "Mosaic", "img_scale": [640, 640]}), [32, 32]), None);
    }
}
