//! YOLOX as a whole on drawn pictures.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use snaphook_data::{Batch, Image, ImageId, ImageRecord, Sample};
use snaphook_runner::{AnyBatch, Entry, Losses, Model, StepContext};
use tch::{Device, Kind, Tensor};

use super::{pictures_of, pixels};
use crate::boxes::iou;
use crate::models::yolox::{Yolox, build_yolox};
use crate::nn::Mode;
use crate::{Predictions, build_model};

/// The model of `yolox_nano_8xb8-300e_coco.py` and its like: factors, channels of the neck's levels.
fn config(deepen: f64, widen: f64, channels: [i64; 3], depthwise: bool, classes: i64) -> Json {
    let width = channels[0];
    json!({
        "type": "YOLOX",
        "data_preprocessor": {"type": "DetDataPreprocessor", "pad_size_divisor": 32},
        "backbone": {"type": "CSPDarknet", "deepen_factor": deepen, "widen_factor": widen,
            "out_indices": [2, 3, 4], "use_depthwise": depthwise, "spp_kernal_sizes": [5, 9, 13],
            "norm_cfg": {"type": "BN", "momentum": 0.03, "eps": 0.001}, "act_cfg": {"type": "Swish"}},
        "neck": {"type": "YOLOXPAFPN", "in_channels": channels, "out_channels": width,
            "num_csp_blocks": 1, "use_depthwise": depthwise,
            "upsample_cfg": {"scale_factor": 2, "mode": "nearest"}},
        "bbox_head": {"type": "YOLOXHead", "num_classes": classes, "in_channels": width,
            "feat_channels": width, "use_depthwise": depthwise,
            "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": true, "reduction": "sum"},
            "loss_bbox": {"type": "IoULoss", "mode": "square", "eps": 1e-16, "reduction": "sum",
                "loss_weight": 5.0}},
        "train_cfg": {"assigner": {"type": "SimOTAAssigner", "center_radius": 2.5}},
        "test_cfg": {"score_thr": 0.01, "nms": {"type": "nms", "iou_threshold": 0.65}}
    })
}

fn nano(classes: i64) -> Json {
    config(0.33, 0.25, [64, 128, 256], true, classes)
}

/// A narrow model that shows every box, for tests that compute.
fn narrow_yolox() -> Yolox {
    // Tests run beside one another; for tensors as small as these, libtorch's threads would only wait for cores.
    tch::set_num_threads(1);
    let mut config = config(0.33, 0.125, [32, 64, 128], false, 2);
    config["test_cfg"]["score_thr"] = json!(0.0);
    let mut model = build_yolox(&config, "model", Device::Cpu).unwrap();
    model.init_weights(0).unwrap();
    model
}

fn narrow() -> Box<dyn Model> {
    Box::new(narrow_yolox())
}

/// Where the drawn picture has its boxes.
const BOXES: [[f32; 4]; 2] = [[8.0, 8.0, 56.0, 56.0], [80.0, 64.0, 120.0, 120.0]];

/// A grey picture of 128 x 128 with a bright box of class 0 and a dark one of class 1, `copies` times.
fn batch(copies: usize) -> AnyBatch {
    let record = ImageRecord {
        img_id: ImageId::Number(7),
        img_path: PathBuf::from("drawn.png"),
        width: 128,
        height: 128,
        instances: Vec::new(),
        label: None,
    };
    let mut sample = Sample::from_record(Arc::new(record));
    let mut image = Image::filled(128, 128, [114; 3]);
    image.paste(&Image::filled(48, 48, [250, 250, 30]), 8, 8);
    image.paste(&Image::filled(40, 56, [10, 10, 90]), 80, 64);
    sample.set_image(image);
    sample.boxes = BOXES.to_vec();
    sample.labels = vec![0, 1];
    sample.ignore = vec![false, false];
    Box::new(Batch { samples: vec![sample; copies], index: 0 })
}

fn total(losses: &Losses) -> Tensor {
    losses.0.iter().map(|(_, loss)| loss.shallow_clone()).reduce(|a, b| a + b).unwrap()
}

fn names(losses: &Losses) -> Vec<&str> {
    losses.0.iter().map(|(name, _)| name.as_str()).collect()
}

/// A step of plain gradient descent with momentum.
fn step(model: &dyn Model, velocities: &mut Vec<Tensor>, learning_rate: f64) {
    tch::no_grad(|| {
        for (i, entry) in model.state().parameters().enumerate() {
            let (mut tensor, mut gradient) = (entry.tensor.shallow_clone(), entry.tensor.grad());
            if velocities.len() <= i {
                velocities.push(gradient.zeros_like());
            }
            velocities[i] = &velocities[i] * 0.9 + &gradient;
            let _ = tensor.g_sub_(&(&velocities[i] * learning_rate));
            let _ = gradient.zero_();
        }
    });
}

#[test]
fn sizes_have_the_parameters_of_the_paper() {
    let millions = |config: Json| {
        let model = build_model(&config, Device::Cpu).unwrap();
        let count: usize = model.state().parameters().map(|entry| entry.tensor.numel()).sum();
        (count as f64 / 1e4).round() / 100.0
    };
    assert_eq!(millions(nano(80)), 0.91);
    assert_eq!(millions(config(0.33, 0.375, [96, 192, 384], false, 80)), 5.06);
    assert_eq!(millions(config(0.33, 0.5, [128, 256, 512], false, 80)), 8.97);
}

#[test]
fn tensors_are_named_as_in_mmdetections_state_dict() {
    let model = build_model(&nano(3), Device::Cpu).unwrap();
    let shape = |name: &str| model.state().get(name).unwrap_or_else(|| panic!("{name}")).size();
    assert_eq!(shape("backbone.stem.conv.conv.weight"), [16, 12, 3, 3]);
    assert_eq!(shape("backbone.stage1.0.depthwise_conv.conv.weight"), [16, 1, 3, 3]);
    assert_eq!(shape("backbone.stage1.0.pointwise_conv.bn.running_var"), [32]);
    assert_eq!(shape("backbone.stage2.1.blocks.2.conv2.pointwise_conv.bn.weight"), [32]);
    assert_eq!(shape("backbone.stage4.1.conv2.conv.weight"), [256, 512, 1, 1]);
    assert_eq!(shape("backbone.stage4.2.final_conv.conv.weight"), [256, 256, 1, 1]);
    assert_eq!(shape("neck.reduce_layers.0.conv.weight"), [128, 256, 1, 1]);
    assert_eq!(shape("neck.top_down_blocks.1.short_conv.conv.weight"), [32, 128, 1, 1]);
    assert_eq!(shape("neck.downsamples.1.depthwise_conv.conv.weight"), [128, 1, 3, 3]);
    assert_eq!(shape("neck.bottom_up_blocks.0.main_conv.conv.weight"), [64, 128, 1, 1]);
    assert_eq!(shape("neck.out_convs.2.bn.bias"), [64]);
    assert_eq!(
        shape("bbox_head.multi_level_cls_convs.0.1.pointwise_conv.conv.weight"),
        [64, 64, 1, 1]
    );
    assert_eq!(shape("bbox_head.multi_level_conv_cls.2.weight"), [3, 64, 1, 1]);
    assert_eq!(shape("bbox_head.multi_level_conv_obj.1.bias"), [1]);
    let tracked = model.state().get("backbone.stem.conv.bn.num_batches_tracked").unwrap();
    assert_eq!((tracked.size().len(), tracked.kind()), (0, Kind::Int64));
    let position = |name: &str| model.state().entries().iter().position(|e| e.name.contains(name));
    assert!(position("downsamples.1") < position("bottom_up_blocks.0"));
    assert!(position("multi_level_conv_reg.2") < position("multi_level_conv_obj.0"));
}

#[test]
fn a_wide_model_builds_plain_convolutions() {
    let config = config(0.33, 0.5, [128, 256, 512], false, 80);
    let model = build_model(&config, Device::Cpu).unwrap();
    let weight = model.state().get("backbone.stage1.0.conv.weight").unwrap();
    assert_eq!(weight.size(), [64, 32, 3, 3]);
}

#[test]
fn start_values_depend_on_the_seed_alone_and_classes_are_unlikely() {
    let bytes = |seed| {
        let mut model = build_model(&nano(3), Device::Cpu).unwrap();
        model.init_weights(seed).unwrap();
        let bias = model.state().get("bbox_head.multi_level_conv_cls.0.bias").unwrap();
        assert!((bias.double_value(&[1]) + 4.595_12).abs() < 1e-4);
        model.state().get("neck.out_convs.0.conv.weight").unwrap().copy()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn every_parameter_gets_a_gradient_with_and_without_boxes() {
    let mut model = narrow();
    model.set_attribute("bbox_head", "use_l1", &json!(true)).unwrap();
    let mut several = batch(2);
    let sample = &mut several.downcast_mut::<Batch>().unwrap().samples[0];
    // One for each level's priors of 8, 16 and 32 pixels, so that every level has matches.
    sample.boxes = vec![[0.0, 40.0, 8.0, 48.0], [8.0, 0.0, 24.0, 16.0], [15.0, 15.0, 51.0, 51.0]];
    (sample.labels, sample.ignore) = (vec![0, 1, 0], vec![false; 3]);
    let losses = model.loss(&several, &StepContext::default()).unwrap();
    assert_eq!(names(&losses), ["loss_cls", "loss_bbox", "loss_obj", "loss_l1"]);
    total(&losses).backward();
    let reached = |entry: &Entry| {
        let gradient = entry.tensor.grad();
        gradient.defined() && gradient.abs().sum(Kind::Float).double_value(&[]) > 0.0
    };
    for entry in model.state().parameters() {
        assert!(reached(entry), "{} has no gradient", entry.name);
    }

    let mut model = narrow();
    let mut empty = batch(1);
    empty.downcast_mut::<Batch>().unwrap().samples[0].boxes.clear();
    let losses = model.loss(&empty, &StepContext::default()).unwrap();
    assert_eq!(losses.0[0].1.double_value(&[]), 0.0);
    total(&losses).backward();
    assert!(model.state().parameters().all(|entry| entry.tensor.grad().defined()));
}

#[test]
fn the_loss_of_a_drawn_picture_falls_and_its_boxes_are_found() {
    let mut model = narrow_yolox();
    let batch = batch(2);
    let mut velocities = Vec::new();
    let mut values = Vec::new();
    for iteration in 0..120 {
        let loss = total(&model.loss(&batch, &StepContext::default()).unwrap());
        values.push(loss.double_value(&[]));
        loss.backward();
        step(&model, &mut velocities, if iteration < 80 { 0.01 } else { 0.001 });
    }
    let last = values[110..].iter().sum::<f64>() / 10.0;
    assert!(last < values[0] * 0.4, "{values:?}");
    let tracked = model.state().get("neck.out_convs.0.bn.num_batches_tracked").unwrap();
    assert_eq!(tracked.int64_value(&[]), 120);
    // With the batch's own statistics: the running ones follow slowly, and a flat picture is all mean and no spread.
    let images = model.preprocessor.images(&pixels(pictures_of(&batch).unwrap())).unwrap();
    let found = tch::no_grad(|| {
        let features = model.features(&images, Mode::Train);
        let outputs = model.head.forward(&features, Mode::Train);
        model.head.boxes(&outputs, &[(1.0, 1.0); 2])
    });
    for (label, bbox) in (0..).zip(BOXES) {
        let best = found[0].iter().find(|found| found.label == label).unwrap();
        assert!(iou(&best.bbox, &bbox) > 0.6, "{best:?}");
    }
}

#[test]
fn there_is_a_row_for_each_place_of_each_map() {
    let config = config(0.33, 0.125, [32, 64, 128], true, 2);
    let mut yolox = build_yolox(&config, "model", Device::Cpu).unwrap();
    yolox.init_weights(5).unwrap();
    let images = Tensor::rand([2, 3, 64, 64], (Kind::Float, Device::Cpu)) * 255.0;
    let outputs =
        tch::no_grad(|| yolox.head.forward(&yolox.features(&images, Mode::Predict), Mode::Predict));
    assert_eq!(outputs.classes.size(), [2, 64 + 16 + 4, 2]);
    assert_eq!(outputs.map_sizes, [(8, 8), (4, 4), (2, 2)]);
}

#[test]
fn boxes_come_back_in_pixels_of_the_original_picture() {
    let mut model = narrow();
    model.set_training(false);
    let mut found = |factor: [f32; 2]| {
        let mut batch = batch(1);
        batch.downcast_mut::<Batch>().unwrap().samples[0].meta.scale_factor = factor;
        let predictions = model.predict(&batch).unwrap();
        let picture = predictions.downcast::<Predictions>().unwrap().0.remove(0);
        assert_eq!(picture.img_id, ImageId::Number(7));
        picture.detections
    };
    let (resized, original) = (found([1.0, 1.0]), found([0.5, 0.25]));
    let [x1, y1, ..] = resized[0].bbox;
    assert_eq!(original[0].bbox[..2], [x1 / 0.5, y1 / 0.25]);
}

#[test]
fn frozen_stages_are_not_trained() {
    let mut config = nano(3);
    config["backbone"]["frozen_stages"] = json!(1);
    let model = build_model(&config, Device::Cpu).unwrap();
    let trains = |name: &str| model.state().get(name).unwrap().requires_grad();
    assert!(!trains("backbone.stem.conv.conv.weight"));
    assert!(!trains("backbone.stage1.1.main_conv.bn.bias"));
    assert!(trains("backbone.stage2.1.main_conv.bn.bias"));
    assert!(trains("neck.out_convs.0.bn.bias"));
}

#[test]
fn wrong_attributes_types_and_labels_are_named() {
    let mut model = narrow();
    let mut set =
        |module, name, value| model.set_attribute(module, name, &value).unwrap_err().to_string();
    assert_eq!(
        set("box_head", "use_l1", json!(true)),
        "module \"box_head\": the model has no such part (nearest: bbox_head)"
    );
    assert!(set("bbox_head", "use_l2", json!(true)).contains("use_l1"));
    assert!(set("bbox_head", "use_l1", json!(1)).ends_with("expected true or false, found 1"));
    let mut batch = batch(1);
    batch.downcast_mut::<Batch>().unwrap().samples[0].labels[1] = 2;
    let error = model.loss(&batch, &StepContext::default()).unwrap_err().to_string();
    assert_eq!(error, "image drawn.png: label 2, but the model has 2 classes (set num_classes)");
}

#[test]
fn wrong_keys_of_a_model_are_named_with_their_path() {
    let error = |change: fn(&mut Json)| {
        let mut config = nano(3);
        change(&mut config);
        build_model(&config, Device::Cpu).err().unwrap().to_string()
    };
    assert_eq!(
        error(|config| config["neck"]["type"] = json!("mmdet.PAFPN")),
        "model.neck.type: PAFPN is a neck of MMDetection that this version does not have yet (it has YOLOXPAFPN, GlobalAveragePooling, FPN)"
    );
    assert_eq!(
        error(|config| config["test_cfg"]["nms"]["iou_thr"] = json!(0.5)),
        "model.test_cfg.nms.iou_thr: unknown key of nms (did you mean `iou_threshold`?)"
    );
    assert_eq!(
        error(|config| config["bbox_head"]["strides"] = json!([8, 16])),
        "model.bbox_head.strides: expected as many strides as the neck has levels, 3, found 2"
    );
}
