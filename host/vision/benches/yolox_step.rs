//! Forward and backward pass of YOLOX-nano, 320 x 320, batch 8, as training runs it: seconds per step, and the
//! share of the assignment. Pictures are noise, with as many boxes as a mosaic of four pictures has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use snaphook_data::{Batch, Image, ImageId, ImageRecord, Sample};
use snaphook_runner::{AnyBatch, StepContext};
use tch::{Device, Tensor};

const SIDE: usize = 320;
const BOXES: usize = 40;
const STEPS: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut model = snaphook_vision::build_model(&nano(), Device::Cpu)?;
    model.init_weights(0)?;
    let batch = batch(8);
    let mut seconds = Vec::new();
    let mut forward = Vec::new();
    for _ in 0..STEPS {
        let start = Instant::now();
        let losses = model.loss(&batch, &StepContext::default())?;
        forward.push(start.elapsed().as_secs_f64());
        let total = losses.0.into_iter().map(|(_, loss)| loss).reduce(|a, b| a + b);
        total.as_ref().map(Tensor::backward);
        seconds.push(start.elapsed().as_secs_f64());
        for entry in model.state().parameters() {
            let _ = entry.tensor.grad().zero_();
        }
    }
    model.set_training(false);
    let start = Instant::now();
    model.predict(&batch)?;
    let predict = start.elapsed().as_secs_f64();
    println!("threads of libtorch: {}", tch::get_num_threads());
    println!("forward and losses: {:.3} s (median)", median(&mut forward));
    println!("forward, losses and backward: {:.3} s (median)", median(&mut seconds));
    println!("prediction: {predict:.3} s");
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn nano() -> serde_json::Value {
    json!({
        "type": "YOLOX",
        "data_preprocessor": {"type": "DetDataPreprocessor", "pad_size_divisor": 32},
        "backbone": {"type": "CSPDarknet", "deepen_factor": 0.33, "widen_factor": 0.25,
            "use_depthwise": true},
        "neck": {"type": "YOLOXPAFPN", "in_channels": [64, 128, 256], "out_channels": 64,
            "num_csp_blocks": 1, "use_depthwise": true},
        "bbox_head": {"type": "YOLOXHead", "num_classes": 3, "in_channels": 64, "feat_channels": 64,
            "use_depthwise": true}
    })
}

fn batch(samples: usize) -> AnyBatch {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut sample = |number: usize| {
        let record = ImageRecord {
            img_id: ImageId::Number(number as i64),
            img_path: PathBuf::from("noise.png"),
            width: SIDE,
            height: SIDE,
            instances: Vec::new(),
            label: None,
        };
        let mut sample = Sample::from_record(Arc::new(record));
        let mut image = Image::filled(SIDE, SIDE, [0; 3]);
        image.data_mut().iter_mut().for_each(|byte| *byte = random() as u8);
        sample.set_image(image);
        for _ in 0..BOXES {
            let mut number = |below: u32| (random() % below) as f32;
            let (x, y, w, h) = (number(270), number(270), 10.0 + number(40), 10.0 + number(40));
            sample.boxes.push([x, y, x + w, y + h]);
            sample.labels.push(number(3) as i64);
            sample.ignore.push(false);
        }
        sample
    };
    Box::new(Batch { samples: (0..samples).map(&mut sample).collect(), index: 0 })
}
