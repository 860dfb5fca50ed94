//! A module that `make.py` exported, on drawn pictures.

use std::path::Path;
use std::sync::Arc;

use snaphook_data::{Image, ImageId, ImageRecord};

use super::*;

fn config() -> Json {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/models/script_model/tiny.pt");
    json!({"type": "ScriptModel", "file": file, "num_classes": 2})
}

fn model() -> ScriptModel {
    tch::set_num_threads(1);
    ScriptModel::build(&config(), "model", Device::Cpu).unwrap()
}

/// A bright picture with a box of class 0 and a dark one with a box of class 1.
fn batch() -> AnyBatch {
    let sample = |(i, level): (i64, u8)| {
        let record = ImageRecord {
            img_id: ImageId::Number(i),
            img_path: "drawn.png".into(),
            width: 32,
            height: 24,
            instances: Vec::new(),
            label: None,
        };
        let mut sample = Sample::from_record(Arc::new(record));
        sample.set_image(Image::filled(32, 24, [level; 3]));
        sample.boxes = vec![[4.0 + 8.0 * i as f32, 6.0, 16.0, 18.0]];
        (sample.labels, sample.ignore) = (vec![i], vec![false]);
        sample
    };
    let samples = [(0, 250), (1, 10)].into_iter().map(sample).collect();
    Box::new(Batch { samples, index: 0 })
}

fn total(losses: &Losses) -> Tensor {
    let terms = losses.0.iter().filter(|(name, _)| name.contains("loss"));
    terms.map(|(_, loss)| loss.shallow_clone()).reduce(|a, b| a + b).unwrap()
}

#[test]
fn parameters_and_buffers_are_the_modules_own_with_their_layers() {
    let model = model();
    let names: Vec<&str> = model.state.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names[..3], ["conv.weight", "conv.bias", "bn.weight"]);
    assert!(names.contains(&"bn.running_mean"));
    let role = |name: &str| model.state.entries().iter().find(|e| e.name == name).unwrap().role;
    assert_eq!(role("bn.bias"), Role::Parameter(Layer::Norm));
    assert_eq!(role("head.bias"), Role::Parameter(Layer::Other));
    assert_eq!(role("bn.running_var"), Role::Buffer(Layer::Norm));
    let convolution = Layer::Convolution { in_channels: 3, groups: 1 };
    assert_eq!(role("conv.weight"), Role::Parameter(convolution));
}

#[test]
fn a_module_learns_and_its_boxes_are_found() {
    let mut model = model();
    let batch = batch();
    let mut values = Vec::new();
    for _ in 0..150 {
        let losses = model.loss(&batch, &StepContext::default()).unwrap();
        assert!(losses.0.iter().any(|(name, _)| name == "scale"));
        let loss = total(&losses);
        values.push(loss.double_value(&[]));
        loss.backward();
        tch::no_grad(|| {
            for entry in model.state.parameters() {
                let mut gradient = entry.tensor.grad();
                let _ = entry.tensor.shallow_clone().g_sub_(&(&gradient * 0.05));
                let _ = gradient.zero_();
            }
        });
    }
    assert!(values[149] < values[0] * 0.3, "{values:?}");
    let mean = model.state.get("bn.running_mean").unwrap().abs().sum(Kind::Float);
    assert!(mean.double_value(&[]) > 0.0, "running means move in training");
    model.set_training(false);
    let before = model.state.get("bn.running_mean").unwrap().copy();
    let Predictions(pictures) = *model.predict(&batch).unwrap().downcast::<Predictions>().unwrap();
    assert_eq!(pictures[1].detections[0].label, 1);
    assert!((pictures[1].detections[0].bbox[0] - 12.0).abs() < 3.0, "{pictures:?}");
    assert_eq!(model.state.get("bn.running_mean").unwrap(), &before);
    model.init_weights(0).unwrap();
    model.set_training(true);
    let again = total(&model.loss(&batch, &StepContext::default()).unwrap()).double_value(&[]);
    assert!((again - values[0]).abs() < 1e-6);
}

#[test]
fn a_module_hears_of_its_epoch_and_other_methods_are_not_there() {
    let mut model = model();
    let seen = |model: &mut ScriptModel| {
        let losses = model.loss(&batch(), &StepContext::default()).unwrap();
        losses.0.iter().find(|(name, _)| name == "epoch_seen").unwrap().1.double_value(&[])
    };
    assert_eq!(seen(&mut model), -1.0);
    model.call("set_epoch", &json!({"epoch": 7})).unwrap();
    assert_eq!(seen(&mut model), 7.0);
    let error = model.call("state_buffers", &json!({})).unwrap_err().to_string();
    assert!(error.contains("state_buffers"), "{error}");
}

#[test]
fn a_file_that_is_none_of_torchscripts_is_named() {
    let mut config = config();
    config["file"] = json!("nowhere.pt");
    let error = ScriptModel::build(&config, "model", Device::Cpu).err().unwrap().to_string();
    assert_eq!(error, "model.file: expected a file of TorchScript, found none at nowhere.pt");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.pt");
    std::fs::write(&path, "text").unwrap();
    config["file"] = json!(path);
    let error = ScriptModel::build(&config, "model", Device::Cpu).err().unwrap().to_string();
    assert!(error.starts_with(&format!("model.file: {}: ", path.display())), "{error}");
}
