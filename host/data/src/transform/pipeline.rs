//! What a transform is, the table of their names, and a row of them.
//! Knows nothing of what the single transforms do.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;
use snaphook_components::{
    Catalog, Component, Role, data as declared, plain_type, read, type_name,
};

use super::affine::RandomAffine;
use super::annotations::{FilterAnnotations, LoadAnnotations, PackDetInputs};
use super::choice::{RandomApply, RandomChoice};
use super::classify::{CenterCrop, RandomResizedCrop, ResizeEdge};
use super::crop::RandomCrop;
use super::distortion::{PhotoMetricDistortion, RandomGrayscale};
use super::erase::{CutOut, RandomErasing};
use super::expand::{Expand, RandomShift};
use super::flip::RandomFlip;
use super::hsv_aug::YoloxHsvRandomAug;
use super::iou_crop::MinIoURandomCrop;
use super::load::LoadImageFromFile;
use super::mixup::MixUp;
use super::mosaic::Mosaic;
use super::pad::Pad;
use super::random_resize::{RandomChoiceResize, RandomResize};
use super::resize::Resize;
use super::sized::with_scale;
use super::test_time_aug::TestTimeAug;
use crate::cache::ImageCache;
use crate::dataset::Dataset;
use crate::{DataError, Sample, SampleRng};

/// What a transform may use besides the sample.
pub struct Surroundings<'a> {
    /// The sample's random numbers.
    pub rng: &'a mut SampleRng,
    /// Where pictures come from.
    pub images: &'a ImageCache,
    /// The samples that [`Transform::partners`] asked for.
    pub partners: Vec<Sample>,
}

/// Where the other samples come from that a transform mixes with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixing {
    /// There are none.
    No,
    /// From the data set that a `MultiImageMixDataset` is around, through its whole pipeline.
    OtherDataset,
    /// From the same data set, through the steps before this one.
    SamePipeline,
}

/// One step of a pipeline.
pub trait Transform: Send + Sync + Debug {
    /// Changes a sample; `None` drops it, another is drawn in its place.
    fn apply(&self, sample: Sample, around: &mut Surroundings)
    -> Result<Option<Sample>, DataError>;

    /// Whether it mixes several samples, and where the others come from.
    fn mixing(&self) -> Mixing {
        Mixing::No
    }

    /// The indices of the samples that it wants in [`Surroundings::partners`] this time.
    fn partners(&self, _dataset: &dyn Dataset, _rng: &mut SampleRng) -> Vec<usize> {
        Vec::new()
    }
}

type Build = fn(&Value) -> Result<Box<dyn Transform>, DataError>;

/// Reads a transform's keyword arguments and makes it of them.
fn built<D: Component, T: Transform + 'static>(
    value: &Value,
    make: impl FnOnce(&D) -> T,
) -> Result<Box<dyn Transform>, DataError> {
    let name = D::NAMES.first().copied().unwrap_or_default();
    Ok(Box::new(make(&read(value, name)?)))
}

const TRANSFORMS: [(&str, Build); 31] = [
    ("LoadImageFromFile", |v| {
        Ok(Box::new(LoadImageFromFile::new(&read(v, "LoadImageFromFile")?)?))
    }),
    ("LoadAnnotations", |v| built(v, LoadAnnotations::new)),
    ("Mosaic", |v| built(v, Mosaic::new)),
    ("CachedMosaic", |v| built(v, Mosaic::cached)),
    ("RandomAffine", |v| built(v, RandomAffine::new)),
    ("MixUp", |v| built(v, MixUp::new)),
    ("CachedMixUp", |v| built(v, MixUp::cached)),
    ("YOLOXHSVRandomAug", |v| built(v, YoloxHsvRandomAug::new)),
    ("RandomFlip", |v| built(v, RandomFlip::new)),
    ("Resize", |v| built(v, Resize::new)),
    ("FixScaleResize", |v| built(v, Resize::rounding_down)),
    ("RandomResize", |v| built(v, RandomResize::new)),
    ("RandomChoiceResize", |v| built(v, RandomChoiceResize::new)),
    ("ResizeEdge", |v| built(v, ResizeEdge::new)),
    ("CenterCrop", |v| built(v, CenterCrop::new)),
    ("RandomResizedCrop", |v| built(v, RandomResizedCrop::new)),
    ("RandomCrop", |v| built(v, RandomCrop::new)),
    ("MinIoURandomCrop", |v| built(v, MinIoURandomCrop::new)),
    ("Expand", |v| built(v, Expand::new)),
    ("RandomShift", |v| built(v, RandomShift::new)),
    ("PhotoMetricDistortion", |v| built(v, PhotoMetricDistortion::new)),
    ("RandomGrayscale", |v| built(v, RandomGrayscale::new)),
    ("CutOut", |v| built(v, CutOut::new)),
    ("RandomErasing", |v| built(v, RandomErasing::new)),
    ("RandomChoice", |v| Ok(Box::new(RandomChoice::new(read(v, "RandomChoice")?)?))),
    ("RandomApply", |v| Ok(Box::new(RandomApply::new(read(v, "RandomApply")?)?))),
    ("TestTimeAug", |v| Ok(Box::new(TestTimeAug::new(read(v, "TestTimeAug")?)?))),
    ("Pad", |v| built(v, Pad::new)),
    ("FilterAnnotations", |v| built(v, FilterAnnotations::new)),
    ("PackDetInputs", |v| built(v, |_: &declared::PackDetInputs| PackDetInputs)),
    ("PackInputs", |v| built(v, |_: &declared::PackInputs| PackDetInputs)),
];

/// Builds the transform of a configuration entry.
///
/// Errors: an unknown type or keyword, with the nearest known name; a wrong value.
pub fn build_transform(value: &Value) -> Result<Box<dyn Transform>, DataError> {
    let name = type_name(Role::Transform, value, "pipeline")?;
    let found = TRANSFORMS.iter().find(|(known, _)| *known == name);
    let (_, build) =
        found.ok_or_else(|| Catalog::built_in().unknown(Role::Transform, value, "pipeline"))?;
    build(value)
}

#[derive(Debug)]
struct Step {
    name: String,
    entry: Value,
    transform: Box<dyn Transform>,
}

impl Step {
    fn new(entry: Value) -> Result<Self, DataError> {
        let name = plain_type(entry["type"].as_str().unwrap_or_default()).to_owned();
        Ok(Self { name, transform: build_transform(&entry)?, entry })
    }
}

/// Transforms in their order, some of them perhaps left out for now.
#[derive(Debug, Clone)]
pub struct Pipeline {
    steps: Arc<[Arc<Step>]>,
    skipped: Vec<String>,
    scale: Option<[u64; 2]>,
}

impl Pipeline {
    /// Builds all transforms of a list; null is an empty list.
    pub fn from_config(owner: &str, value: &Value) -> Result<Self, DataError> {
        let none = Vec::new();
        let list = match value {
            Value::Null => &none,
            Value::Array(list) => list,
            _ => return Err(DataError::config(owner, "expected a list of transforms")),
        };
        let step = |value: &Value| Step::new(value.clone()).map(Arc::new);
        let steps = list.iter().map(step).collect::<Result<Vec<_>, DataError>>()?;
        Ok(Self { steps: steps.into(), skipped: Vec::new(), scale: None })
    }

    /// The same, for a data set that hands out single samples: transforms that need a `MultiImageMixDataset` are
    /// refused.
    pub fn without_mixing(owner: &str, value: &Value) -> Result<Self, DataError> {
        let advice = "mixes several pictures (move it to a MultiImageMixDataset)";
        Self::from_config(owner, value)?.refusing(owner, &[Mixing::OtherDataset], advice)
    }

    /// The same, for a row inside of another transform: none may want other samples.
    pub(super) fn without_partners(owner: &str, value: &Value) -> Result<Self, DataError> {
        let advice = "mixes several pictures (move it out of here)";
        let refused = [Mixing::OtherDataset, Mixing::SamePipeline];
        Self::from_config(owner, value)?.refusing(owner, &refused, advice)
    }

    fn refusing(self, owner: &str, refused: &[Mixing], advice: &str) -> Result<Self, DataError> {
        match self.steps.iter().find(|step| refused.contains(&step.transform.mixing())) {
            None => Ok(self),
            Some(step) => Err(DataError::config(owner, format!("{} {advice}", step.name))),
        }
    }

    /// The same transforms, with those of the given types left out.
    pub fn skipping(&self, types: &[String]) -> Self {
        let skipped = types.iter().map(|t| plain_type(t).to_owned()).collect();
        Self { skipped, ..self.clone() }
    }

    /// The same transforms, with those that follow a size (`Resize`, `MixUp`) at this one, in (width, height); others are
    /// those of before, with what they keep.
    ///
    /// Errors: a transform that refuses the size.
    pub fn resized(&self, scale: [u64; 2]) -> Result<Self, DataError> {
        let step = |step: &Arc<Step>| match with_scale(&step.entry, scale) {
            Some(entry) => Step::new(entry).map(Arc::new),
            None => Ok(step.clone()),
        };
        let steps = self.steps.iter().map(step).collect::<Result<Vec<_>, DataError>>()?;
        Ok(Self { steps: steps.into(), scale: Some(scale), skipped: self.skipped.clone() })
    }

    /// These transforms in place of others, with what is in force of those: the types that are left out, and the size.
    ///
    /// Errors: as [`Pipeline::resized`].
    pub fn in_place_of(&self, before: &Self) -> Result<Self, DataError> {
        let skipping = self.skipping(&before.skipped);
        before.scale.map_or(Ok(skipping.clone()), |scale| skipping.resized(scale))
    }

    /// The configuration entries of the transforms that are in force.
    pub fn entries(&self) -> Vec<Value> {
        self.in_force().map(|step| step.entry.clone()).collect()
    }

    fn in_force(&self) -> impl Iterator<Item = &Arc<Step>> {
        self.steps.iter().filter(|step| !self.skipped.contains(&step.name))
    }

    /// The transforms that are in force.
    pub fn active(&self) -> impl Iterator<Item = &dyn Transform> {
        self.in_force().map(|step| &*step.transform)
    }

    /// Carries a sample through all transforms that are in force, none of which wants partners.
    pub fn run(
        &self,
        mut sample: Sample,
        rng: &mut SampleRng,
        images: &ImageCache,
    ) -> Result<Option<Sample>, DataError> {
        for transform in self.active() {
            let mut around = Surroundings { rng: &mut *rng, images, partners: Vec::new() };
            match transform.apply(sample, &mut around)? {
                Some(changed) => sample = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_transform_or_keyword_names_the_nearest() {
        let message = |value| build_transform(&value).unwrap_err().to_string();
        assert_eq!(
            message(json!({"type": "mmdet.RandomFlp"})),
            "pipeline.type: \"mmdet.RandomFlp\" is no transform (did you mean `RandomFlip`?)"
        );
        assert_eq!(
            message(json!({"type": "Resize", "scale": [1, 1], "keep_ration": true})),
            "Resize.keep_ration: unknown key of Resize (did you mean `keep_ratio`?)"
        );
    }

    #[test]
    fn mixing_in_a_plain_pipeline_is_refused() {
        let value = json!([{"type": "LoadImageFromFile"}, {"type": "Mosaic"}]);
        let message =
            Pipeline::without_mixing("CocoDataset.pipeline", &value).unwrap_err().to_string();
        assert!(message.contains("Mosaic mixes several pictures"), "{message}");
    }

    #[test]
    fn skipped_types_are_left_out_with_or_plain_type() {
        let value = json!([{"type": "mmdet.Mosaic"}, {"type": "YOLOXHSVRandomAug"}]);
        let pipeline = Pipeline::from_config("p", &value).unwrap();
        assert_eq!(pipeline.active().count(), 2);
        assert_eq!(pipeline.skipping(&["Mosaic".into()]).active().count(), 1);
        assert_eq!(pipeline.skipping(&["mmdet.Mosaic".into()]).skipping(&[]).active().count(), 2);
    }

    #[test]
    fn a_size_and_what_is_left_out_outlive_another_pipeline_in_any_order() {
        let of = |value| Pipeline::from_config("p", &value).unwrap();
        let first = of(
            json!([{"type": "MixUp", "img_scale": [640, 640]}, {"type": "Resize", "scale": [640, 640]}]),
        );
        let other =
            of(json!([{"type": "RandomFlip", "prob": 0.5}, {"type": "Resize", "scale": [8, 8]}]));
        let expected =
            json!([{"type": "RandomFlip", "prob": 0.5}, {"type": "Resize", "scale": [96, 64]}]);
        let skipped = ["MixUp".to_owned()];
        let before = first.skipping(&skipped).resized([96, 64]).unwrap();
        assert_eq!(json!(before.entries()), json!([{"type": "Resize", "scale": [96, 64]}]));
        assert_eq!(json!(other.in_place_of(&before).unwrap().entries()), expected);
        let after = other.in_place_of(&first).unwrap().resized([96, 64]).unwrap();
        assert_eq!(json!(after.skipping(&skipped).entries()), expected);
    }
}
