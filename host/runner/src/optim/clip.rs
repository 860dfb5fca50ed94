//! Limits gradients by their common norm or each by its value.
//! Knows nothing of parameters or updates.
//!
//! Source: PyTorch 2.11 `torch/nn/utils/clip_grad.py`. The norm sums in another order than PyTorch's norm of norms of
//! tensors and may differ in the last digits.

use snaphook_optimizers::ClipGrad;
use tch::Tensor;

use super::bucket::Bucket;

/// Limits the gradients; returns their norm before it, a tensor without dimensions, if this is by norm.
pub(super) fn clip(clip: ClipGrad, buckets: &[Bucket]) -> Option<Tensor> {
    let with_gradients = || buckets.iter().filter(|bucket| bucket.has_gradients());
    match clip {
        ClipGrad::Value { clip_value } => {
            for bucket in with_gradients() {
                let _ = bucket.gradient().shallow_clone().clamp_(-clip_value, clip_value);
            }
            None
        }
        ClipGrad::Norm { max_norm, norm_type, .. } => {
            let total = total_norm(with_gradients(), norm_type)?;
            let factor = (&total + 1e-6).reciprocal().g_mul_scalar(max_norm).clamp_max(1.0);
            for bucket in with_gradients() {
                let factor =
                    factor.to_device(bucket.gradient().device()).to_kind(bucket.gradient().kind());
                let _ = bucket.gradient().shallow_clone().g_mul_(&factor);
            }
            Some(total)
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
