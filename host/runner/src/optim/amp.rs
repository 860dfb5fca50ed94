//! The loss scale of mixed precision: small gradients must not vanish in half precision, large ones not overflow.
//! Knows nothing of the forward pass.
//!
//! Source: PyTorch 2.11 `torch/amp/grad_scaler.py`, `aten/src/ATen/native/cuda/AmpKernels.cu`.

use serde_json::{Value as Json, json};
use snaphook_optimizers::LossScale;
use tch::Tensor;

use super::bucket::Bucket;

/// A loss scale at work.
#[derive(Debug)]
pub(super) struct LossScaler {
    settings: LossScale,
    scale: f32,
    /// Updates since the scale changed.
    growth_tracker: u64,
    /// Once gradients are unscaled: whether each bucket's were finite.
    is_finite: Option<Vec<Tensor>>,
}

impl LossScaler {
    pub(super) fn new(settings: LossScale) -> LossScaler {
        let scale = match settings {
            LossScale::Static(scale) => scale,
            LossScale::Dynamic { init_scale, .. } => init_scale,
        };
        LossScaler { settings, scale: scale as f32, growth_tracker: 0, is_finite: None }
    }

    /// What losses are multiplied with.
    pub(super) fn scale(&self) -> f64 {
        f64::from(self.scale)
    }

    /// What gradients are multiplied with as they are now.
    pub(super) fn scale_of_gradients(&self) -> f64 {
        if self.is_finite.is_some() { 1.0 } else { self.scale() }
    }

    /// Divides gradients by the scale, once for each update; nothing waits for the device.
    pub(super) fn unscale(&mut self, buckets: &mut [Bucket]) {
        if self.is_finite.is_none() {
            let factor = f64::from(1.0 / self.scale);
            let with_gradients = buckets.iter_mut().filter(|bucket| bucket.has_gradients());
            self.is_finite = Some(with_gradients.map(|bucket| bucket.unscale(factor)).collect());
        }
    }

    /// Whether all gradients of this update were finite; the scale becomes that of the next update.
    pub(super) fn finish(&mut self) -> bool {
        let checks = self.is_finite.take().unwrap_or_default();
        let is_finite = checks.iter().all(|check| check.int64_value(&[]) != 0);
        let LossScale::Dynamic { growth_factor, backoff_factor, growth_interval, .. } =
            self.settings
        else {
            return is_finite;
        };
        if !is_finite {
            (self.scale, self.growth_tracker) = (self.scale * backoff_factor as f32, 0);
            return false;
        }
        self.growth_tracker += 1;
        if self.growth_tracker == growth_interval {
            let grown = self.scale * growth_factor as f32;
            self.scale = if grown.is_finite() { grown } else { self.scale };
            self.growth_tracker = 0;
        }
        true
    }

    pub(super) fn save(&self) -> Json {
        json!({ "scale": self.scale, "growth_tracker": self.growth_tracker })
    }

    /// Takes over a saved scale; a checkpoint of full precision has none, and a fixed scale is the configuration's.
    pub(super) fn load(&mut self, saved: &Json) {
        let (scale, tracker) = (saved["scale"].as_f64(), saved["growth_tracker"].as_u64());
        if let (Some(scale), Some(tracker), LossScale::Dynamic { .. }) =
            (scale, tracker, self.settings)
        {
            (self.scale, self.growth_tracker) = (scale as f32, tracker);
        }
    }
}
