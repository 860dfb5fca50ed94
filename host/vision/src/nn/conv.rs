//! A convolution and its weights. Knows nothing of normalisation.

use snaphook_runner::{Layer, Scope};
use tch::{Device, Tensor};

/// The numbers of a convolution with a square kernel that keeps the size, stride aside, where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvShape {
    /// Channels that come in.
    pub(crate) in_channels: i64,
    /// Channels that go out.
    pub(crate) out_channels: i64,
    /// Side of the kernel; odd.
    pub(crate) kernel: i64,
    /// Step in both directions.
    pub(crate) stride: i64,
    /// Groups of channels.
    pub(crate) groups: i64,
    /// Distance of the kernel's taps.
    pub(crate) dilation: i64,
}

impl ConvShape {
    /// One group, stride 1 and taps side by side.
    pub(crate) fn new(in_channels: i64, out_channels: i64, kernel: i64) -> ConvShape {
        ConvShape { in_channels, out_channels, kernel, stride: 1, groups: 1, dilation: 1 }
    }

    /// The same with another stride.
    pub(crate) fn with_stride(self, stride: i64) -> ConvShape {
        ConvShape { stride, ..self }
    }
}

/// A convolution with zero padding of half the kernel's reach.
#[derive(Debug)]
pub(crate) struct Conv2d {
    shape: ConvShape,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Conv2d {
    pub(crate) fn new(scope: &Scope, shape: ConvShape, with_bias: bool) -> Conv2d {
        let ConvShape { in_channels, out_channels, kernel, groups, .. } = shape;
        let layer = Layer::Convolution { in_channels, groups };
        let size = [out_channels, in_channels / groups, kernel, kernel];
        Conv2d {
            shape,
            weight: scope.parameter("weight", &size, layer),
            bias: with_bias.then(|| scope.parameter("bias", &[out_channels], layer)),
        }
    }

    /// Shapes: `x` [N, C, H, W]; the result [N, C', H / stride, W / stride].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        self.convolve(x, &self.weight, self.bias.as_ref())
    }

    /// The result times `scale` plus `shift` per channel, in one pass.
    ///
    /// Shapes: `scale` and `shift` [C'].
    pub(crate) fn forward_affine(&self, x: &Tensor, scale: &Tensor, shift: &Tensor) -> Tensor {
        let weight = &self.weight * scale.view([-1, 1, 1, 1]);
        let bias = self.bias.as_ref().map_or_else(|| shift.shallow_clone(), |b| b * scale + shift);
        self.convolve(x, &weight, Some(&bias))
    }

    /// Its shift per channel, if it has one.
    pub(crate) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    fn convolve(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let ConvShape { stride, groups, kernel, dilation, .. } = self.shape;
        if kernel == 1 && groups == 1 && x.device() == Device::Cpu {
            return point_wise(&every(x, stride), weight, bias);
        }
        let padding = kernel / 2 * dilation;
        let both = |value| [value, value];
        x.conv2d(weight, bias, both(stride), both(padding), both(dilation), groups)
    }
}

/// Every so many rows and columns of a map.
///
/// Shapes: `x` [N, C, H, W]; the result [N, C, H / stride, W / stride], rounded up.
fn every(x: &Tensor, stride: i64) -> Tensor {
    if stride == 1 {
        x.shallow_clone()
    } else {
        x.slice(2, 0, None, stride).slice(3, 0, None, stride)
    }
}

/// A convolution of 1 x 1 as a product of matrices: with channels last in memory, both are views. oneDNN's own way
/// takes twice the time on a CPU, most of it for the gradient of the weights.
///
/// Shapes: `x` [N, C, H, W]; `weight` [C', C, 1, 1]; `bias` [C']; the result [N, C', H, W].
fn point_wise(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let pixels = x.permute([0, 2, 3, 1]);
    pixels.linear(&weight.flatten(1, 3), bias).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_product_of_matrices_equals_a_convolution_of_one_by_one() {
        let random = |size: &[i64]| Tensor::rand(size, (Kind::Float, Device::Cpu));
        let (x, weight, bias) = (random(&[2, 3, 4, 5]), random(&[7, 3, 1, 1]), random(&[7]));
        let expected = x.conv2d(&weight, Some(&bias), [1, 1], [0, 0], [1, 1], 1);
        // Sums of three products, added in another order.
        assert!(point_wise(&x, &weight, Some(&bias)).allclose(&expected, 1e-5, 1e-5, false));
        let expected = x.conv2d(&weight, Some(&bias), [2, 2], [0, 0], [1, 1], 1);
        let found = point_wise(&every(&x, 2), &weight, Some(&bias));
        assert!(found.allclose(&expected, 1e-5, 1e-5, false));
    }
}
