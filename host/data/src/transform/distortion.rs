//! `PhotoMetricDistortion` and `RandomGrayscale`: random changes of colours.
//! Knows nothing of boxes.
//!
//! Source: MMDetection 3.3.0 `transforms.py`, mmcv 2.1 `processing.py`. We differ in one point: MMDetection leaves floats
//! behind, which may lie beyond 0 and 255; here pixels are rounded and held within.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::{Distortion, distort};
use crate::{DataError, Sample, SampleRng};

/// Changes each of five properties with probability one half.
#[derive(Debug)]
pub(super) struct PhotoMetricDistortion {
    brightness_delta: f64,
    contrast_range: [f64; 2],
    saturation_range: [f64; 2],
    hue_delta: f64,
}

impl PhotoMetricDistortion {
    pub(super) fn new(declared: &declared::PhotoMetricDistortion) -> Self {
        Self {
            brightness_delta: declared.brightness_delta,
            contrast_range: declared.contrast_range.into(),
            saturation_range: declared.saturation_range.into(),
            hue_delta: declared.hue_delta,
        }
    }

    fn draw(&self, rng: &mut SampleRng) -> Distortion {
        let [is_contrast_first, brightness, contrast, saturation, hue, swap] =
            [(); 6].map(|()| rng.below(2) == 1);
        let mut value = |[low, high]: [f64; 2]| rng.uniform(low, high) as f32;
        let brightness_value = value([-self.brightness_delta, self.brightness_delta]);
        let contrast_value = value(self.contrast_range);
        let saturation_value = value(self.saturation_range);
        let hue_value = value([-self.hue_delta, self.hue_delta]);
        let channels = rng.permutation();
        Distortion {
            brightness: brightness.then_some(brightness_value),
            contrast: contrast.then_some(contrast_value),
            is_contrast_first,
            saturation: saturation.then_some(saturation_value),
            hue: hue.then_some(hue_value),
            channels: swap.then_some(channels),
        }
    }
}

impl Transform for PhotoMetricDistortion {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        distort(&mut sample.image, &self.draw(around.rng));
        Ok(Some(sample))
    }
}

/// Makes a picture grey.
#[derive(Debug)]
pub(super) struct RandomGrayscale {
    prob: f64,
    /// Add up to 1.
    weights: [f64; 3],
}

impl RandomGrayscale {
    pub(super) fn new(declared: &declared::RandomGrayscale) -> Self {
        let weights: [f64; 3] = declared.channel_weights.into();
        let total: f64 = weights.iter().sum();
        Self { prob: declared.prob, weights: weights.map(|weight| weight / total) }
    }
}

impl Transform for RandomGrayscale {
    fn apply(
        &self,
        mut sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        if around.rng.unit() < self.prob {
            for pixel in sample.image.data_mut().as_chunks_mut::<3>().0 {
                let level: f64 =
                    pixel.iter().zip(self.weights).map(|(p, weight)| f64::from(*p) * weight).sum();
                *pixel = [level as u8; 3];
            }
        }
        Ok(Some(sample))
    }
}
