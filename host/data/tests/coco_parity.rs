//! COCO scores against those of pycocotools (`golden/make_golden.py`).
//! Knows nothing of how they are computed.

use serde::Deserialize;
use serde_json::{Value, json};
use snaphook_data::{CocoEvaluator, DatasetMeta, Detection, ImageId};

#[derive(Deserialize)]
struct Golden {
    dataset: Value,
    detections: Vec<Found>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Found {
    image_id: i64,
    #[serde(flatten)]
    detection: Detection,
}

#[derive(Deserialize)]
struct Expected {
    proposal_nums: [usize; 3],
    stats: Vec<f64>,
    per_class: Vec<f64>,
}

fn evaluator(golden: &Golden, proposal_nums: [usize; 3]) -> CocoEvaluator {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("truth.json");
    std::fs::write(&path, golden.dataset.to_string()).expect("a file");
    let config = json!({"type": "CocoMetric", "ann_file": path, "metric": "bbox", "classwise": true,
        "proposal_nums": proposal_nums});
    let classes = ["big", "small", "absent"].map(str::to_owned).to_vec();
    CocoEvaluator::from_config(&config, &DatasetMeta::from_classes(classes)).expect("an evaluator")
}

#[test]
fn scores_equal_those_of_pycocotools() {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/coco.json")).expect("golden scores");
    for expected in &golden.expected {
        let mut evaluator = evaluator(&golden, expected.proposal_nums);
        let mut by_image = std::collections::BTreeMap::<i64, Vec<Detection>>::new();
        for found in &golden.detections {
            by_image.entry(found.image_id).or_default().push(found.detection);
        }
        for (id, detections) in by_image {
            evaluator.add(&ImageId::Number(id), detections);
        }
        let result = evaluator.finish().expect("scores");
        for (i, (ours, theirs)) in result.stats.iter().zip(&expected.stats).enumerate() {
            assert!((ours - theirs).abs() < 1e-9, "number {i}: {ours} {theirs}");
        }
        let own = result.metrics.iter().filter(|(name, _)| name.ends_with("_precision"));
        for ((name, ours), theirs) in own.zip(&expected.per_class) {
            assert!((ours - theirs).abs() <= 0.0005, "{name}: {ours} {theirs}");
        }
    }
}
