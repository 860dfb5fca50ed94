//! Metrics against those of pycocotools and MMDetection (`golden/metrics/make_metrics.py`).
//! Knows nothing of how they are computed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use snaphook_data::{
    CocoEvaluator, Detection, ImageId, MetricEvaluator, VocEvaluator, build_dataset,
};

#[derive(Deserialize)]
struct Case {
    classes: Vec<String>,
    dataset: Value,
    detections: Vec<Found>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Found {
    image_id: i64,
    #[serde(flatten)]
    detection: Detection,
}

#[derive(Deserialize)]
struct Expected {
    /// None without a detection: pycocotools takes none then.
    bbox: Option<[f64; 12]>,
    proposal: Option<[f64; 12]>,
    fast: [f64; 3],
    voc: Vec<Voc>,
}

#[derive(Deserialize)]
struct Voc {
    mode: String,
    iou: f64,
    mean: f64,
    aps: Vec<Option<f64>>,
}

impl Case {
    fn by_image(&self) -> BTreeMap<i64, Vec<Detection>> {
        let mut all: BTreeMap<i64, Vec<Detection>> = BTreeMap::new();
        for found in &self.detections {
            all.entry(found.image_id).or_default().push(found.detection);
        }
        all
    }

    /// A data set of the annotations; crowds are what is ignored.
    fn write(&self, folder: &Path) -> Value {
        let path = folder.join("truth.json");
        std::fs::write(&path, self.dataset.to_string()).expect("a file");
        json!({"type": "CocoDataset", "ann_file": path, "metainfo": {"classes": self.classes},
            "test_mode": true, "pipeline": []})
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        serde_json::from_str(include_str!("golden/metrics/metrics.json")).expect("golden scores");
    if let Ok(path) = std::env::var("METRICS_GOLDEN") {
        let text = std::fs::read_to_string(path).expect("the file of METRICS_GOLDEN");
        cases.extend(serde_json::from_str::<Vec<Case>>(&text).expect("golden scores"));
    }
    cases
}

/// To the last bit, which may decide what is told of a number; that of `theirs` is uncertain, from a fast reader.
fn compare(ours: &[f64], theirs: &[f64], what: &str, wrong: &mut String) {
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if (ours - theirs).abs() > f64::EPSILON * theirs.abs() {
            let _ = writeln!(wrong, "{what} {place}: {ours}, expected {theirs}");
        }
    }
}

#[test]
fn coco_numbers_equal_those_of_pycocotools() {
    let mut wrong = String::new();
    for (number, case) in cases().iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let dataset = build_dataset(&case.write(folder.path())).expect("a data set");
        let config = json!({"type": "CocoMetric", "ann_file": folder.path().join("truth.json"),
            "metric": ["bbox", "proposal", "proposal_fast"]});
        let evaluator = CocoEvaluator::from_dataset(&config, dataset.as_ref());
        let mut evaluator = evaluator.expect("an evaluator");
        for (id, found) in case.by_image() {
            evaluator.add(&ImageId::Number(id), found);
        }
        let result = evaluator.finish().expect("scores");
        let of = |kind: &str| format!("case {number}, {kind}");
        if let Some(theirs) = &case.expected.bbox {
            compare(&result.stats, theirs, &of("bbox"), &mut wrong);
        }
        if let Some(theirs) = &case.expected.proposal {
            compare(&result.proposal_stats, theirs, &of("proposal"), &mut wrong);
        }
        let last = result.metrics.len() - 3;
        let fast: Vec<f64> = result.metrics[last..].iter().map(|(_, value)| *value).collect();
        compare(&fast, &case.expected.fast, &of("proposal_fast"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn voc_numbers_equal_those_of_mmdetection() {
    let mut compared = 0;
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        let dataset = build_dataset(&case.write(folder.path())).expect("a data set");
        for voc in &case.expected.voc {
            let config = json!({"type": "VOCMetric", "eval_mode": voc.mode, "iou_thrs": voc.iou});
            let evaluator =
                VocEvaluator::from_dataset(&config, dataset.as_ref()).expect("a metric");
            let mut evaluator = MetricEvaluator::Voc(evaluator);
            for (id, found) in case.by_image() {
                evaluator.add(&ImageId::Number(id), found);
            }
            let MetricEvaluator::Voc(evaluator) = &mut evaluator else { unreachable!() };
            let result = evaluator.finish().expect("scores");
            let name = format!("pascal_voc/AP{}", (voc.iou * 100.0) as i64);
            let metric =
                |name: &str| result.metrics.iter().find(|(n, _)| n == name).expect("a metric").1;
            // MMDetection adds up single precision.
            assert!((metric("pascal_voc/mAP") - voc.mean).abs() < 1e-6, "{} {}", voc.mode, voc.iou);
            assert!((metric(&name) - voc.mean).abs() < 6e-4, "{} {}", voc.mode, voc.iou);
            assert_eq!(result.class_aps[0].len(), voc.aps.len());
            for (ours, theirs) in result.class_aps[0].iter().zip(&voc.aps) {
                let difference = ours.unwrap_or(-1.0) - theirs.unwrap_or(-1.0);
                assert!(difference.abs() < 1e-6, "{ours:?} {theirs:?}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 12);
}

#[test]
fn both_metrics_see_the_same_confusion_and_curves_are_those_of_the_scores() {
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        let dataset = build_dataset(&case.write(folder.path())).expect("a data set");
        let diagnosis = |config: serde_json::Value| {
            let evaluator = MetricEvaluator::from_dataset(&config, dataset.as_ref());
            let mut evaluator = evaluator.expect("an evaluator");
            for (id, found) in case.by_image() {
                evaluator.add(&ImageId::Number(id), found);
            }
            evaluator.finish().expect("scores").diagnosis.expect("a diagnosis")
        };
        let voc = diagnosis(json!({"type": "VOCMetric"}));
        let coco = diagnosis(json!({"type": "CocoMetric"}));
        assert_eq!((&voc.classes, &voc.confusion), (&coco.classes, &coco.confusion));
        assert_eq!((voc.iou, coco.iou), (0.5, 0.5));
        // The area below a curve is much what 101 of its heights are on average.
        let config = json!({"type": "VOCMetric", "eval_mode": "area"});
        let evaluator = VocEvaluator::from_dataset(&config, dataset.as_ref());
        let mut evaluator = MetricEvaluator::Voc(evaluator.expect("an evaluator"));
        case.by_image().into_iter().for_each(|(id, f)| evaluator.add(&ImageId::Number(id), f));
        let MetricEvaluator::Voc(evaluator) = &mut evaluator else { unreachable!() };
        let aps = evaluator.finish().expect("scores").class_aps.remove(0);
        assert_eq!(aps.len(), voc.precision.len());
        assert_eq!(coco.ap.len(), coco.precision.len());
        for (ap, curve) in aps.iter().zip(&voc.precision) {
            let mean = curve.iter().sum::<f64>() / curve.len() as f64;
            match ap {
                Some(ap) => assert!((mean - ap).abs() < 0.02, "{mean} {ap}"),
                None => assert!(curve.is_empty()),
            }
        }
    }
}
