// Batch norm with the statistics of all ranks, as a function that autograd knows.
//
// Source: torch/nn/modules/_functions.py, SyncBatchNorm, whose arithmetic is followed with operations that every device
// has: its own kernels are for GPUs alone.
#pragma once

namespace snaphook {

// 1 for every dimension but the channels'.
inline std::vector<int64_t> per_channel(const at::Tensor& input) {
  std::vector<int64_t> shape(input.dim(), 1);
  shape[1] = input.size(1);
  return shape;
}

inline std::vector<int64_t> all_but_channels(const at::Tensor& input) {
  std::vector<int64_t> dimensions;
  for (int64_t dimension = 0; dimension < input.dim(); dimension++) {
    if (dimension != 1) {
      dimensions.push_back(dimension);
    }
  }
  return dimensions;
}

// What statistics are computed in: f32, and f64 for input of f64.
inline at::ScalarType precision_of(const at::Tensor& input) {
  return input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// Mean, biased variance and number of elements over all ranks. Deviations are from each rank's own mean, and put together
// by the law of total variance: sums of squares would lose digits.
inline std::tuple<at::Tensor, at::Tensor, at::Tensor> statistics(const at::Tensor& input, const GroupHandle& group) {
  const int64_t channels = input.size(1);
  const int64_t own = input.numel() / std::max<int64_t>(channels, 1);
  const auto precision = precision_of(input);
  auto options = input.options().dtype(precision);
  auto packed = at::zeros({2 * channels + 1}, options);
  if (own > 0) {
    auto [variance, mean] = at::var_mean(input.to(precision), all_but_channels(input), /*unbiased=*/false);
    packed.narrow(0, 0, channels).copy_(mean);
    packed.narrow(0, channels, channels).copy_(variance);
  }
  packed[2 * channels].fill_(static_cast<double>(own));
  std::vector<std::vector<at::Tensor>> parts(1);
  for (int rank = 0; rank < group->getSize(); rank++) {
    parts[0].push_back(at::empty_like(packed));
  }
  std::vector<at::Tensor> inputs{packed};
  group->allgather(parts, inputs)->wait();
  auto all = at::stack(parts[0]);
  auto counts = all.narrow(1, 2 * channels, 1);
  auto means = all.narrow(1, 0, channels);
  auto total = counts.sum();
  auto mean = (means * counts).sum(0) / total;
  auto variances = all.narrow(1, channels, channels) + (means - mean).square();
  auto variance = (variances * counts).sum(0) / total;
  return {mean, variance, total};
}

struct SyncBatchNorm : torch::autograd::Function<SyncBatchNorm> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context,
      const at::Tensor& input,
      const std::optional<at::Tensor>& weight,
      const std::optional<at::Tensor>& bias,
      const std::optional<at::Tensor>& running_mean,
      const std::optional<at::Tensor>& running_variance,
      double momentum,
      double eps,
      const GroupHandle& group) {
    auto [mean, variance, total] = statistics(input, group);
    if (running_mean && running_mean->defined()) {
      auto unbiased = variance * (total / (total - 1).clamp_min(1));
      running_mean->mul_(1 - momentum).add_(mean, momentum);
      running_variance->mul_(1 - momentum).add_(unbiased, momentum);
    }
    auto weight_or_none = weight.value_or(at::Tensor());
    context->save_for_backward({input, weight_or_none, mean, (variance + eps).rsqrt(), total});
    context->saved_data["group"] = group;
    return at::batch_norm(
        input, weight, bias, mean, variance, /*training=*/false, /*momentum=*/0, eps, /*cudnn_enabled=*/false);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto &input = saved[0], &weight = saved[1], &mean = saved[2], &inverse_deviation = saved[3], &total = saved[4];
    auto group = context->saved_data["group"].toCustomClass<c10d::ProcessGroup>();
    const auto shape = per_channel(input);
    const auto dimensions = all_but_channels(input);
    const int64_t channels = input.size(1);
    const auto precision = precision_of(input);
    auto gradient = gradients[0].to(precision);
    auto centred = input.to(precision) - mean.view(shape);
    auto sums = at::empty({2, channels}, mean.options());
    sums[0].copy_(gradient.sum(dimensions));
    sums[1].copy_((gradient * centred).sum(dimensions));
    // Gradients of weight and bias are this rank's own: what reduces gradients takes them together.
    at::Tensor weight_gradient, bias_gradient;
    if (weight.defined()) {
      weight_gradient = (sums[1] * inverse_deviation).to(weight.scalar_type());
      bias_gradient = sums[0].clone().to(weight.scalar_type());
    }
    std::vector<at::Tensor> all{sums};
    group->allreduce(all)->wait();
    auto scale = weight.defined() ? inverse_deviation * weight.to(precision) : inverse_deviation;
    auto means = sums / total;
    auto slope = (means[1] * inverse_deviation.square()).view(shape);
    auto input_gradient =
        centred.mul_(slope).neg_().add_(gradient).sub_(means[0].view(shape)).mul_(scale.view(shape));
    return {input_gradient.to(input.scalar_type()), weight_gradient, bias_gradient, {}, {}, {}, {}, {}};
  }
};

} // namespace snaphook

extern "C" int snaphook_c10d_sync_batch_norm(
    at::Tensor* input,
    at::Tensor* weight,
    at::Tensor* bias,
    at::Tensor* running_mean,
    at::Tensor* running_variance,
    double momentum,
    double eps,
    const GroupHandle* group,
    at::Tensor** out) noexcept {
  return snaphook::guarded([&] {
    TORCH_CHECK(
        at::isFloatingType(input->scalar_type()) && input->dim() >= 2,
        "expected input of floating point, [N, C, ...], found ",
        input->scalar_type(),
        " ",
        input->sizes());
    auto optional = [](at::Tensor* tensor) { return tensor ? std::optional<at::Tensor>(*tensor) : std::nullopt; };
    *out = new at::Tensor(snaphook::SyncBatchNorm::apply(
        *input,
        optional(weight),
        optional(bias),
        optional(running_mean),
        optional(running_variance),
        momentum,
        eps,
        snaphook::open_group(group)));
  });
}
