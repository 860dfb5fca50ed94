// Batch normalisation and SiLU in one node of the graph. The normalised map is not saved: the way back computes it again
// from the map that came in, which the normalisation needs anyway. Nothing is thrown across the border.

#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <initializer_list>
#include <tuple>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct NormSwish : torch::autograd::Function<NormSwish> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& running_mean, const at::Tensor& running_var,
                            double momentum, double eps) {
    auto [out, mean, deviation] =
        at::native_batch_norm(x, weight, bias, running_mean, running_var, true, momentum, eps);
    at::silu_(out);
    context->save_for_backward({x, weight, bias, mean, deviation});
    context->saved_data["eps"] = eps;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &deviation = saved[4];
    const double eps = context->saved_data["eps"].toDouble();
    // What is saved is 1 / sqrt(variance + eps).
    const auto variance = deviation.square().reciprocal_().sub_(eps);
    auto normalised = std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance, false, 0.0, eps));
    at::silu_backward_out(normalised, gradients[0], normalised);
    const std::array<bool, 3> wanted = {context->needs_input_grad(0), context->needs_input_grad(1),
                                        context->needs_input_grad(2)};
    auto [of_x, of_weight, of_bias] = at::native_batch_norm_backward(
        normalised, x, weight, {}, {}, mean, deviation, true, eps, wanted);
    return {of_x, of_weight, of_bias, {}, {}, {}, {}};
  }
};

// The operators below rely on it, and do not look.
bool fits(const at::Tensor& x, std::initializer_list<const at::Tensor*> per_channel) {
  if (x.dim() < 2 || x.numel() == 0) return false;
  for (const auto* tensor : per_channel) {
    if (tensor->dim() != 1 || tensor->size(0) != x.size(1)) return false;
    if (tensor->scalar_type() != x.scalar_type() || tensor->device() != x.device()) return false;
  }
  return true;
}

}  // namespace

extern "C" {

// A new tensor, the caller's; null where sizes do not fit or libtorch refuses.
at::Tensor* snaphook_norm_swish(const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias,
                                const at::Tensor* running_mean, const at::Tensor* running_var, double momentum,
                                double eps) {
  try {
    if (!fits(*x, {weight, bias, running_mean, running_var})) return nullptr;
    return new at::Tensor(NormSwish::apply(*x, *weight, *bias, *running_mean, *running_var, momentum, eps));
  } catch (...) {
    return nullptr;
  }
}

}  // extern "C"
