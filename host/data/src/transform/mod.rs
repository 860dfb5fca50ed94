//! The steps of a pipeline, built by their MMDetection `type` names.
//! Knows nothing of threads and batches; all chance comes from the sample's own random numbers.
//!
//! Source: MMDetection 3.3.0 `datasets/transforms`, mmcv 2.1 `transforms`.

mod affine;
mod annotations;
mod choice;
mod classify;
mod crop;
mod distortion;
mod erase;
mod expand;
mod flip;
mod hsv_aug;
mod iou_crop;
mod load;
mod mixup;
mod mosaic;
mod pad;
mod pipeline;
mod random_resize;
mod resize;
mod sized;
mod test_time_aug;

pub use pipeline::{Mixing, Pipeline, Surroundings, Transform, build_transform};

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::{Surroundings, build_transform};
    use crate::cache::ImageCache;
    use crate::{Sample, SampleRng};

    /// Applies one transform with fixed random numbers.
    pub(crate) fn apply(config: &Value, sample: Sample) -> Option<Sample> {
        apply_with(config, sample, Vec::new(), 7)
    }

    pub(crate) fn apply_with(
        config: &Value,
        sample: Sample,
        partners: Vec<Sample>,
        seed: u64,
    ) -> Option<Sample> {
        let images = ImageCache::new(0);
        let mut rng = SampleRng::new(seed);
        let mut around = Surroundings { rng: &mut rng, images: &images, partners };
        build_transform(config).unwrap().apply(sample, &mut around).unwrap()
    }
}
