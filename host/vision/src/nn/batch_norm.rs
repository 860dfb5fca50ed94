//! Batch normalisation with its buffers. Knows nothing of what comes before or after it.

use serde_json::Value as Json;
use snaphook_c10d::{NormParameters, normalize_over_ranks};
use snaphook_components::{ComponentError, read, vision};
use snaphook_libtorch::{BatchNormParts, norm_swish};
use snaphook_runner::{Layer, Scope};
use tch::{Device, Kind, Tensor};

use super::{Conv2d, Mode};

/// The numbers of a `norm_cfg` of type BN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BatchNormSettings {
    /// Share of the new batch in the running statistics.
    pub(crate) momentum: f64,
    /// Added to the variance.
    pub(crate) eps: f64,
    /// Whether scale and shift are trained.
    pub(crate) requires_grad: bool,
    /// Whether the statistics are those of all processes that train together.
    pub(crate) is_synchronized: bool,
}

/// PyTorch's own.
impl Default for BatchNormSettings {
    fn default() -> BatchNormSettings {
        BatchNormSettings { momentum: 0.1, eps: 1e-5, requires_grad: true, is_synchronized: false }
    }
}

impl BatchNormSettings {
    pub(crate) fn read(value: &Json, path: &str) -> Result<BatchNormSettings, ComponentError> {
        let vision::BatchNorm { momentum, eps, requires_grad } = read(value, path)?;
        let is_synchronized = value["type"].as_str().is_some_and(|name| name.ends_with("SyncBN"));
        Ok(BatchNormSettings { momentum, eps, requires_grad, is_synchronized })
    }
}

/// Normalises each channel over batch, height and width.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    settings: BatchNormSettings,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    num_batches_tracked: Tensor,
}

impl BatchNorm {
    pub(crate) fn new(scope: &Scope, channels: i64, settings: BatchNormSettings) -> BatchNorm {
        let parameter = |name| {
            scope
                .parameter(name, &[channels], Layer::Norm)
                .set_requires_grad(settings.requires_grad)
        };
        let float = (Kind::Float, Device::Cpu);
        BatchNorm {
            settings,
            weight: parameter("weight"),
            bias: parameter("bias"),
            running_mean: scope.buffer(
                "running_mean",
                Tensor::zeros([channels], float),
                Layer::Norm,
            ),
            running_var: scope.buffer("running_var", Tensor::ones([channels], float), Layer::Norm),
            num_batches_tracked: scope.buffer(
                "num_batches_tracked",
                Tensor::zeros([0_i64; 0], (Kind::Int64, Device::Cpu)),
                Layer::Norm,
            ),
        }
    }

    /// With `train`, the statistics are the batch's and the running ones move towards them.
    ///
    /// Shapes: `x` and the result [N, C, H, W].
    pub(crate) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let synchronized = if train { self.begin_training(x) } else { None };
        synchronized.unwrap_or_else(|| self.normalise(x, train))
    }

    /// The layer in training and SiLU after it. On a CPU one map less is saved for the gradients.
    ///
    /// Shapes: `x` and the result [N, C, H, W].
    pub(crate) fn forward_swish(&self, x: &Tensor) -> Tensor {
        if let Some(normalized) = self.begin_training(x) {
            return normalized.silu();
        }
        let is_plain = x.device() == Device::Cpu && x.kind() == Kind::Float;
        let joined = is_plain.then(|| norm_swish(x, &self.parts())).flatten();
        // Where libtorch refuses, its own operator says why.
        joined.unwrap_or_else(|| self.normalise(x, true).silu())
    }

    fn parts(&self) -> BatchNormParts<'_> {
        BatchNormParts {
            weight: &self.weight,
            bias: &self.bias,
            running_mean: &self.running_mean,
            running_var: &self.running_var,
            momentum: self.settings.momentum,
            eps: self.settings.eps,
        }
    }

    /// Counts the batch; the result, where the statistics are those of all processes.
    fn begin_training(&self, x: &Tensor) -> Option<Tensor> {
        let _ = self.num_batches_tracked.shallow_clone().g_add_scalar_(1);
        let parameters = NormParameters {
            affine: Some((&self.weight, &self.bias)),
            running: Some((&self.running_mean, &self.running_var)),
            momentum: self.settings.momentum,
            eps: self.settings.eps,
        };
        normalize_over_ranks(x, &parameters, self.settings.is_synchronized)
    }

    fn normalise(&self, x: &Tensor, train: bool) -> Tensor {
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            self.settings.momentum,
            self.settings.eps,
            true,
        )
    }

    /// A convolution and this layer. With running statistics, the layer is a part of the convolution's weights, also for
    /// gradients: that saves a pass over the map in both directions.
    ///
    /// Shapes: `x` [N, C, H, W]; the result as the convolution's.
    pub(crate) fn after(&self, conv: &Conv2d, x: &Tensor, mode: Mode) -> Tensor {
        if mode == Mode::Train {
            return self.forward(&conv.forward(x), true);
        }
        let (scale, shift) = self.as_affine();
        conv.forward_affine(x, &scale, &shift)
    }

    /// Scale and shift per channel that do what the layer does in evaluation mode.
    ///
    /// Shapes: two of [C].
    pub(crate) fn as_affine(&self) -> (Tensor, Tensor) {
        let scale = &self.weight * (&self.running_var + self.settings.eps).rsqrt();
        let shift = &self.bias - &self.running_mean * &scale;
        (scale, shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ConvShape;
    use snaphook_runner::ModelState;

    fn layers() -> (Conv2d, BatchNorm, ModelState) {
        let scope = Scope::root(Device::Cpu);
        let conv = Conv2d::new(&scope.child("conv"), ConvShape::new(3, 4, 3), true);
        let norm = BatchNorm::new(&scope.child("bn"), 4, BatchNormSettings::default());
        let state = scope.finish();
        tch::manual_seed(1);
        tch::no_grad(|| {
            for entry in state.entries().iter().filter(|entry| !entry.name.contains("tracked")) {
                // Positive, as a variance must be.
                let _ = entry.tensor.shallow_clone().uniform_(0.5, 1.5);
            }
        });
        (conv, norm, state)
    }

    #[test]
    fn running_statistics_in_the_weights_equal_the_layer_in_values_and_gradients() {
        let (conv, norm, state) = layers();
        let x = Tensor::randn([2, 3, 5, 6], (Kind::Float, Device::Cpu));
        let gradients = |out: &Tensor| {
            (out * out.detach().cos()).sum(Kind::Float).backward();
            let taken = state.parameters().map(|entry| {
                let mut gradient = entry.tensor.grad();
                let copy = gradient.copy();
                let _ = gradient.zero_();
                copy
            });
            taken.collect::<Vec<_>>()
        };
        let folded = norm.after(&conv, &x, Mode::Frozen);
        let plain = norm.forward(&conv.forward(&x), false);
        assert!(folded.allclose(&plain, 1e-5, 1e-5, false));
        for (folded, plain) in gradients(&folded).iter().zip(gradients(&plain)) {
            // Sums of a hundred products, in another order.
            assert!(folded.allclose(&plain, 1e-4, 1e-4, false), "{folded:?} {plain:?}");
        }
    }
}
