//! Batch normalisation and SiLU that save one map where libtorch's operators save two. Knows nothing of models. The C++ side
//! is `shim/norm_swish.cpp`.

use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn snaphook_norm_swish(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        running_mean: *const C_tensor,
        running_var: *const C_tensor,
        momentum: f64,
        eps: f64,
    ) -> *mut C_tensor;
}

/// The numbers of a batch normalisation in training, per channel.
///
/// Shapes: all `[C]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormParts<'a> {
    /// Scale.
    pub weight: &'a Tensor,
    /// Shift.
    pub bias: &'a Tensor,
    /// Moves towards the mean of the batch.
    pub running_mean: &'a Tensor,
    /// Moves towards the variance of the batch.
    pub running_var: &'a Tensor,
    /// Share of the batch in both.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

/// `silu(batch_norm(x))` with the statistics of the batch. For the way back `x` alone is kept, and the normalised map is
/// computed again: a third of the maps of a network of such layers need no memory. `None` where sizes or kinds do not fit, or
/// libtorch refuses.
///
/// Shapes: `x` and the result [N, C, H, W].
pub fn norm_swish(x: &Tensor, parts: &BatchNormParts<'_>) -> Option<Tensor> {
    let BatchNormParts { weight, bias, running_mean, running_var, momentum, eps } = *parts;
    // SAFETY: all five tensors live through the call, which reads them, writes to the last two as batch normalisation does,
    // and throws nothing.
    let result = unsafe {
        snaphook_norm_swish(
            x.as_ptr(),
            weight.as_ptr(),
            bias.as_ptr(),
            running_mean.as_ptr(),
            running_var.as_ptr(),
            momentum,
            eps,
        )
    };
    // SAFETY: a pointer that is not null is a new tensor of the same kind that tch makes, which nobody else has.
    (!result.is_null()).then(|| unsafe { Tensor::from_ptr(result) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    struct Layer {
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running: [Tensor; 2],
    }

    fn layer(is_last: bool) -> Layer {
        tch::manual_seed(3);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let x = random(&[3, 5, 6, 4]) * 2.0 + 1.0;
        let x =
            if is_last { x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]) } else { x };
        Layer {
            x: x.set_requires_grad(true),
            weight: (random(&[5]) + 1.0).set_requires_grad(true),
            bias: random(&[5]).set_requires_grad(true),
            running: [random(&[5]), random(&[5]).square()],
        }
    }

    fn ours(layer: &Layer) -> Option<Tensor> {
        let Layer { x, weight, bias, running: [running_mean, running_var] } = layer;
        let parts =
            BatchNormParts { weight, bias, running_mean, running_var, momentum: 0.1, eps: 1e-3 };
        norm_swish(x, &parts)
    }

    #[test]
    fn values_gradients_and_statistics_equal_those_of_both_operators() {
        for is_last in [false, true] {
            let (joined, apart) = (layer(is_last), layer(is_last));
            let found = ours(&joined).unwrap();
            let Layer { x, weight, bias, running } = &apart;
            let normalised = x.batch_norm(
                Some(weight),
                Some(bias),
                Some(&running[0]),
                Some(&running[1]),
                true,
                0.1,
                1e-3,
                true,
            );
            let expected = normalised.silu();
            assert_eq!(found, expected);
            assert_eq!(found.stride(), expected.stride());
            for out in [&found, &expected] {
                (out * out.detach().cos()).sum(Kind::Float).backward();
            }
            let pairs = [(&joined.x, x), (&joined.weight, weight), (&joined.bias, bias)];
            for (found, expected) in pairs.map(|(a, b)| (a.grad(), b.grad())) {
                assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{found} {expected}");
            }
            assert_eq!(joined.running, *running);
        }
    }

    #[test]
    fn frozen_parameters_and_pictures_have_no_gradient() {
        let layer = layer(true);
        let _ = layer.weight.set_requires_grad(false);
        let _ = layer.x.set_requires_grad(false);
        ours(&layer).unwrap().sum(Kind::Float).backward();
        assert!(layer.bias.grad().defined());
        assert!(!layer.weight.grad().defined() && !layer.x.grad().defined());
        assert!(!tch::no_grad(|| ours(&layer)).unwrap().requires_grad());
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let layer = Layer { weight: Tensor::ones([4], (Kind::Float, Device::Cpu)), ..layer(false) };
        assert!(ours(&layer).is_none());
    }
}
