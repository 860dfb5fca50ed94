//! Pictures per second through the YOLOX training pipeline, on one core.
//! Knows nothing of the model that would take them.
//!
//! `cargo bench -p snaphook-data -- DATA_ROOT` measures on a COCO data set (`annotations/instances_train.json`,
//! `JPEGImages/`, and for its classes `CLASSES=a,b,c`); without an argument on 640 x 640 pictures drawn for it.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use snaphook_data::{DataError, Loader, LoaderConfig, shapes};

const SIDE: i64 = 640;
const PICTURES: usize = 200;

fn pipeline() -> Value {
    json!([
        {"type": "Mosaic", "img_scale": [SIDE, SIDE], "pad_val": 114.0},
        {"type": "RandomAffine", "scaling_ratio_range": [0.1, 2], "border": [-SIDE / 2, -SIDE / 2]},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Resize", "scale": [SIDE, SIDE], "keep_ratio": true},
        {"type": "Pad", "pad_to_square": true, "pad_val": {"img": [114.0, 114.0, 114.0]}},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": [1, 1], "keep_empty": false},
        {"type": "PackDetInputs"},
    ])
}

/// Seconds that this thread has had a processor, where Linux says so: the figure for a machine that is shared.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn measure(name: &str, dataset: Value, epochs: u64) -> Result<(), DataError> {
    let entry = json!({"batch_size": 8, "dataset": dataset});
    let loader = Loader::from_config(&entry, LoaderConfig { shuffle: true, ..Default::default() })?;
    for epoch in 0..epochs {
        let (start, start_busy) = (Instant::now(), processor_seconds());
        let mut count = 0;
        let mut boxes = 0;
        for batch in loader.epoch(epoch, 0) {
            let samples = batch?.samples;
            count += samples.len();
            boxes += samples.iter().map(|s| s.boxes.len()).sum::<usize>();
            if count >= PICTURES {
                break;
            }
        }
        let rate = |seconds: f64| count as f64 / seconds;
        let wall = rate(start.elapsed().as_secs_f64());
        let busy = processor_seconds().map(|end| rate(end - start_busy.unwrap_or_default()));
        let busy = busy.map_or(String::new(), |r| format!(", {r:.0} img/s of processor time"));
        println!("{name}, epoch {epoch}: {wall:.0} img/s{busy} ({boxes} boxes)");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let drawn = tempfile::tempdir()?;
    let (root, ann_file, folder, classes) = match argument {
        Some(root) => {
            let classes =
                std::env::var("CLASSES").unwrap_or_else(|_| "Platelets,RBC,WBC".to_owned());
            (PathBuf::from(root), "annotations/instances_train.json", "JPEGImages", classes)
        }
        None => {
            shapes::ShapesOptions { train: 200, val: 0, size: 640, seed: 0 }
                .draw_into(drawn.path())?;
            (drawn.path().to_owned(), "annotations/train.json", "train", shapes::CLASSES.join(","))
        }
    };
    let leaf = |cache_mib: u64, pipeline: Value| {
        json!({"type": "CocoDataset", "data_root": root, "ann_file": ann_file, "data_prefix": {"img": folder},
            "metainfo": {"classes": classes.split(',').collect::<Vec<_>>()},
            "image_cache_mib": cache_mib, "pipeline": pipeline})
    };
    let load = json!([{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]);
    let mixed = |cache_mib| json!({"type": "MultiImageMixDataset", "dataset": leaf(cache_mib, load.clone()), "pipeline": pipeline()});
    measure("mosaic pipeline, no cache", mixed(0), 2)?;
    measure("mosaic pipeline, 256 MiB cache", mixed(256), 3)?;
    measure("decoding alone", leaf(0, load.clone()), 2)?;
    measure("loading from the cache alone", leaf(256, load.clone()), 2)?;
    let two_stage = json!([{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"},
        {"type": "Resize", "scale": [1333, 800], "keep_ratio": true}, {"type": "RandomFlip", "prob": 0.5}, {"type": "PackDetInputs"}]);
    measure("Faster R-CNN pipeline, no cache", leaf(0, two_stage), 2)?;
    Ok(())
}
