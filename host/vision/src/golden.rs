//! Tests: what MMDetection computes with the same weights and pictures. The numbers are in `golden`, with the script that
//! made them; weights and pictures are made here by the script's formulas.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;
use snaphook_data::{Batch, Image, ImageId, ImageRecord, Sample};
use snaphook_runner::{AnyBatch, Entry, ModelState};
use tch::{Kind, Tensor};

/// A model with what it is to compute.
pub(crate) struct Case {
    settings: Json,
    /// What MMDetection computed.
    pub(crate) expected: Json,
}

impl Case {
    pub(crate) fn read(name: &str) -> Case {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/golden");
        let json = |file: String| -> Json {
            serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
        };
        let mut cases = json("cases.json".into());
        Case { settings: cases[name].take(), expected: json(format!("{name}.json")) }
    }

    /// The `model` dict.
    pub(crate) fn model(&self) -> &Json {
        &self.settings["model"]
    }

    pub(crate) fn setting(&self, key: &str) -> &Json {
        &self.settings[key]
    }

    /// Weights by their names.
    pub(crate) fn fill(&self, state: &ModelState) {
        let gain = self.settings["gain"].as_f64().unwrap();
        tch::no_grad(|| state.entries().iter().for_each(|entry| fill(entry, gain)));
    }

    /// The pictures of a step.
    pub(crate) fn batch(&self, step: usize) -> AnyBatch {
        let pictures = self.settings["pictures"].as_array().unwrap();
        let samples = pictures.iter().enumerate().map(|(i, picture)| sample(picture, step, i));
        Box::new(Batch { samples: samples.collect(), index: 0 })
    }
}

/// Numbers in [0, 1), exact in single precision, that depend on a name alone: FNV-1a for the name, SplitMix64 for the rest.
fn units(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let one = |i: usize| {
        let z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
    };
    (0..count).map(one).collect()
}

fn fill(entry: &Entry, gain: f64) {
    if entry.name.ends_with("num_batches_tracked") {
        return;
    }
    let size = entry.tensor.size();
    let unit = Tensor::from_slice(&units(&entry.name, entry.tensor.numel())).view(size.as_slice());
    let values = if size.len() > 1 {
        let fan_in: i64 = size[1..].iter().product();
        let bound = (gain * (3.0 / fan_in as f64).sqrt()) as f32;
        (unit * 2.0 - 1.0) * f64::from(bound)
    } else if entry.name.ends_with("running_var") {
        unit * 0.5 + 0.5
    } else if entry.name.ends_with(".scale") {
        unit * 2.0 + 3.0
    } else if entry.name.ends_with("conv_reg.bias") {
        unit * 0.25 + 0.5
    } else if entry.name.ends_with("weight") {
        unit * f64::from(0.4_f32) + f64::from(0.4_f32)
    } else {
        (unit * 2.0 - 1.0) * f64::from(0.1_f32)
    };
    entry.tensor.shallow_clone().copy_(&values);
}

fn numbers<const N: usize>(value: &Json) -> Option<[f32; N]> {
    let numbers: Vec<f32> =
        value.as_array()?.iter().filter_map(|n| n.as_f64().map(|n| n as f32)).collect();
    numbers.try_into().ok()
}

fn sample(picture: &Json, step: usize, index: usize) -> Sample {
    let [height, width] = numbers::<2>(&picture["size"]).unwrap().map(|side| side as usize);
    let record = ImageRecord {
        img_id: ImageId::Number(index as i64),
        img_path: PathBuf::from("made.png"),
        width,
        height,
        instances: Vec::new(),
        label: picture["label"].as_i64(),
    };
    let mut sample = Sample::from_record(Arc::new(record));
    let pixels = units(&format!("picture {step} {index}"), height * width * 3);
    let columns = width / 8 + 1;
    let rough = units(&format!("rough {step} {index}"), (height / 8 + 1) * columns * 3);
    let mut image = Image::filled(width, height, [0; 3]);
    for (place, byte) in image.data_mut().iter_mut().enumerate() {
        let (row, column, channel) = (place / 3 / width, place / 3 % width, place % 3);
        let square = rough[((row / 8) * columns + column / 8) * 3 + channel];
        *byte = ((pixels[place] * 0.25 + square * 0.75) * 255.0) as u8;
    }
    sample.set_image(image);
    sample.meta.scale_factor = numbers::<2>(&picture["scale"]).unwrap_or([1.0, 1.0]);
    let list = |key: &str| picture[key].as_array().into_iter().flatten();
    sample.boxes = list("boxes").map(|corners| numbers::<4>(corners).unwrap()).collect();
    sample.labels = list("labels").map(|label| label.as_i64().unwrap()).collect();
    sample.ignore = vec![false; sample.labels.len()];
    sample
}

/// Whether an array has the size, the norm and the numbers that are told, up to this share of its largest ones.
pub(crate) fn is_told(found: &Tensor, told: &Json, share: f64) -> Result<(), String> {
    let size: Vec<i64> =
        told["size"].as_array().unwrap().iter().map(|side| side.as_i64().unwrap()).collect();
    if found.size() != size {
        return Err(format!("expected {size:?}, found {:?}", found.size()));
    }
    let flat = found.detach().to_kind(Kind::Double).reshape([-1]);
    let count = flat.numel();
    let norm = told["norm"].as_f64().unwrap();
    let found_norm = flat.norm().double_value(&[]);
    if (found_norm - norm).abs() > share * norm.max(1e-9) {
        return Err(format!("expected a norm of {norm}, found {found_norm}"));
    }
    let values = told["values"].as_array().unwrap();
    // Single numbers may be small by chance: they are measured by what numbers of the array are like.
    let usual = norm / (count.max(1) as f64).sqrt();
    for (i, value) in values.iter().enumerate() {
        let at = if count > values.len() { i * count / values.len() } else { i };
        let (value, found) = (value.as_f64().unwrap(), flat.double_value(&[at as i64]));
        if (found - value).abs() > share * value.abs().max(usual) {
            return Err(format!("expected {value} at {at}, found {found}"));
        }
    }
    Ok(())
}

/// Targets of one stage, as far as the files tell them.
pub(crate) struct FoundTargets {
    /// `rpn`, `roi`, `bbox`, `yolox`.
    pub(crate) stage: &'static str,
    /// What losses are divided by.
    pub(crate) count: f64,
    /// Rows with a box to find.
    pub(crate) positive: usize,
    /// Rows of the loss of classes.
    pub(crate) labelled: usize,
    /// What is to be found. Shapes: [positive, 4].
    pub(crate) boxes: Tensor,
}

impl FoundTargets {
    pub(crate) fn compare(&self, expected: &Json) {
        let told = &expected[self.stage];
        assert_eq!(told["count"], self.count, "{}: count", self.stage);
        assert_eq!(told["positive"], self.positive, "{}: positive", self.stage);
        assert_eq!(told["labelled"], self.labelled, "{}: labelled", self.stage);
        is_told(&self.boxes, &told["targets"], 1e-4)
            .unwrap_or_else(|problem| panic!("{}: {problem}", self.stage));
    }
}
