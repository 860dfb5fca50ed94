//! `clip_grad`: limits gradients by their common norm or each by its value.
//! Knows nothing of parameters or updates.
//!
//! Source: PyTorch 2.11 `torch/nn/utils/clip_grad.py`. The norm sums in another order than PyTorch's norm of norms of
//! tensors and may differ in the last digits.

use serde_json::{Value as Json, json};
use tch::Tensor;

use super::OptimError;
use super::bucket::Bucket;
use snaphook_schedules::Kwargs;

/// How gradients are limited before an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipGrad {
    /// All are scaled so that their common norm is at most `max_norm`.
    Norm {
        /// The largest norm.
        max_norm: f64,
        /// The order of the norm; infinity for the largest element.
        norm_type: f64,
    },
    /// Each element is limited to at most this size.
    Value {
        /// The largest size.
        clip_value: f64,
    },
}

impl ClipGrad {
    /// Reads a `clip_grad` object.
    pub(super) fn read(config: &Json) -> Result<ClipGrad, OptimError> {
        let kwargs = Kwargs::of("clip_grad", config)?;
        let clip = match kwargs.text("type")? {
            None | Some("norm") => {
                kwargs.accept(&["error_if_nonfinite", "foreach"]);
                ClipGrad::Norm {
                    max_norm: kwargs.required_number("max_norm")?,
                    norm_type: norm_type(&kwargs)?,
                }
            }
            Some("value") => {
                kwargs.accept(&["foreach"]);
                ClipGrad::Value { clip_value: kwargs.required_number("clip_value")? }
            }
            Some(other) => return Err(kwargs.wrong("type", "norm or value", &json!(other)).into()),
        };
        kwargs.finish()?;
        Ok(clip)
    }

    /// Limits the gradients; returns their norm before it, a tensor without dimensions, if this is by norm.
    pub(super) fn apply(self, buckets: &[Bucket]) -> Option<Tensor> {
        let with_gradients = || buckets.iter().filter(|bucket| bucket.has_gradients());
        match self {
            ClipGrad::Value { clip_value } => {
                for bucket in with_gradients() {
                    let _ = bucket.gradient().shallow_clone().clamp_(-clip_value, clip_value);
                }
                None
            }
            ClipGrad::Norm { max_norm, norm_type } => {
                let total = total_norm(with_gradients(), norm_type)?;
                let factor = (&total + 1e-6).reciprocal().g_mul_scalar(max_norm).clamp_max(1.0);
                for bucket in with_gradients() {
                    let factor = factor
                        .to_device(bucket.gradient().device())
                        .to_kind(bucket.gradient().kind());
                    let _ = bucket.gradient().shallow_clone().g_mul_(&factor);
                }
                Some(total)
            }
        }
    }
}

/// The common norm of all gradients; `None` where there are none.
pub(super) fn total_norm<'a>(
    buckets: impl Iterator<Item = &'a Bucket>,
    norm_type: f64,
) -> Option<Tensor> {
    let norms: Vec<Tensor> = buckets
        .map(|bucket| bucket.gradient_rows().norm_scalaropt_dim(norm_type, [1], false))
        .collect();
    let device = norms.first()?.device();
    let norms: Vec<Tensor> = norms.iter().map(|norm| norm.to_device(device)).collect();
    Some(Tensor::cat(&norms, 0).norm_scalaropt_dim(norm_type, [0], false))
}

fn norm_type(kwargs: &Kwargs<'_>) -> Result<f64, OptimError> {
    match kwargs.raw("norm_type") {
        Some(Json::String(text)) if text == "inf" => Ok(f64::INFINITY),
        _ => Ok(kwargs.number_where(
            "norm_type",
            2.0,
            ("a number above 0, or 'inf'", |x| x > 0.0),
        )?),
    }
}
