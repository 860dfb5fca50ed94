//! Transforms against what MMDetection's did with the same draws (`golden/transforms/make_transforms.py`).
//! Knows nothing of why they are as they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use snaphook_data::image::read_image;
use snaphook_data::{
    Image, ImageCache, ImageId, ImageRecord, Sample, SampleRng, Surroundings, build_transform,
};

#[derive(Deserialize)]
struct Golden {
    /// x, y, width, height of each picture in `transforms.png`.
    places: Vec<[usize; 4]>,
    sources: Vec<Annotated>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Annotated {
    boxes: Vec<[f32; 4]>,
    labels: Vec<i64>,
    ignore: Vec<bool>,
}

#[derive(Deserialize)]
struct Case {
    config: Value,
    /// Places of the samples that are mixed in.
    partners: Vec<usize>,
    draws: Vec<f64>,
    #[serde(default)]
    is_dropped: bool,
    picture: Option<usize>,
    boxes: Option<Vec<[f32; 4]>>,
    labels: Option<Vec<i64>>,
    ignore: Option<Vec<bool>>,
    meta: Option<Value>,
}

struct Pictures {
    golden: Golden,
    strip: Image,
}

impl Pictures {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/transforms");
        let golden = include_str!("golden/transforms/transforms.json");
        let golden = serde_json::from_str(golden).expect("golden cases");
        Self { golden, strip: read_image(&path.join("transforms.png")).expect("golden pictures") }
    }

    fn picture(&self, index: usize) -> Image {
        let [x, y, width, height] = self.golden.places[index];
        self.strip.cropped(x, y, width, height)
    }

    fn source(&self, index: usize) -> Sample {
        let image = self.picture(index);
        let record = ImageRecord {
            img_id: ImageId::Number(index as i64),
            img_path: PathBuf::from("source.png"),
            width: image.width(),
            height: image.height(),
            instances: Vec::new(),
            label: None,
        };
        let Annotated { boxes, labels, ignore } = &self.golden.sources[index];
        let mut sample = Sample::from_record(Arc::new(record));
        sample.set_image(image);
        (sample.boxes, sample.labels) = (boxes.clone(), labels.clone());
        sample.ignore = ignore.clone();
        sample
    }

    fn run(&self, case: &Case) -> Option<Sample> {
        let images = ImageCache::new(0);
        let mut rng = SampleRng::recorded(case.draws.iter().copied());
        let partners = case.partners.iter().map(|index| self.source(*index)).collect();
        let mut around = Surroundings { rng: &mut rng, images: &images, partners };
        let transform = build_transform(&case.config).expect("a transform");
        let sample = transform.apply(self.source(0), &mut around).expect("no error");
        assert_eq!(rng.recorded_left(), 0, "{}: draws that nobody asked for", case.config);
        sample
    }
}

/// The largest difference of a byte, and the share of bytes that differ at all.
fn difference(ours: &Image, theirs: &Image) -> (u8, f64) {
    assert_eq!(ours.shape(), theirs.shape());
    let all: Vec<u8> = ours.data().iter().zip(theirs.data()).map(|(a, b)| a.abs_diff(*b)).collect();
    let different = all.iter().filter(|d| **d > 0).count();
    (all.iter().copied().max().unwrap_or(0), different as f64 / all.len() as f64)
}

fn check(pictures: &Pictures, case: &Case) {
    let name = &case.config;
    let Some(sample) = pictures.run(case) else {
        assert!(case.is_dropped, "{name}: dropped");
        return;
    };
    assert!(!case.is_dropped, "{name}: expected to be dropped");
    let theirs = pictures.picture(case.picture.expect("a picture"));
    assert_eq!(sample.image.shape(), theirs.shape(), "{name}");
    assert_eq!(sample.meta.img_shape, theirs.shape(), "{name}");
    let (worst, _) = difference(&sample.image, &theirs);
    assert!(worst <= 1, "{name} {:?}: {worst} grey levels", case.draws);
    let boxes = case.boxes.as_ref().expect("boxes");
    assert_eq!(sample.boxes.len(), boxes.len(), "{name}");
    for (ours, theirs) in sample.boxes.iter().flatten().zip(boxes.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-3, "{name}: {:?} {boxes:?}", sample.boxes);
    }
    assert_eq!(Some(&sample.labels), case.labels.as_ref(), "{name}");
    assert_eq!(Some(&sample.ignore), case.ignore.as_ref(), "{name}");
    check_meta(&sample, case.meta.as_ref().unwrap_or(&Value::Null), name);
}

fn check_meta(sample: &Sample, meta: &Value, name: &Value) {
    if let Some([x, y]) = meta["scale_factor"].as_array().map(Vec::as_slice) {
        let theirs = [x, y].map(|v| v.as_f64().unwrap_or_default() as f32);
        let ours = sample.meta.scale_factor;
        assert!((ours[0] - theirs[0]).abs() < 1e-6 && (ours[1] - theirs[1]).abs() < 1e-6, "{name}");
    }
    if let Some(flip) = meta["flip"].as_bool() {
        assert_eq!(sample.meta.flip, flip, "{name}");
        let ours = sample.meta.flip_direction.map(|d| format!("{d:?}").to_lowercase());
        assert_eq!(ours.as_deref(), meta["flip_direction"].as_str(), "{name}");
    }
}

#[test]
fn transforms_equal_those_of_mmdetection_within_one_grey_level() {
    let pictures = Pictures::read();
    assert!(pictures.golden.cases.len() > 60);
    for case in &pictures.golden.cases {
        check(&pictures, case);
    }
}
