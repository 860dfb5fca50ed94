// The engine of PyTorch's DistributedDataParallel. The order of calls is that of its Python side,
// torch/nn/parallel/distributed.py.
#pragma once

using ReducerHandle = std::shared_ptr<c10d::Reducer>;

namespace snaphook {

using Buckets = std::vector<std::vector<size_t>>;

// For buckets that are made anew after the first backward pass, in the order in which gradients came: one bucket serves until
// then, or several in the order of the parameters where they stay.
inline Buckets first_buckets(const std::vector<at::Tensor>& parameters, const std::vector<size_t>& limits) {
  std::vector<bool> sparse(parameters.size(), false);
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(parameters, limits, sparse));
  std::reverse(buckets.begin(), buckets.end());
  return buckets;
}

// For buckets that stay as they are: what the above ends with where gradients come in the reverse order of the parameters.
inline Buckets lasting_buckets(const std::vector<at::Tensor>& parameters, const std::vector<size_t>& limits) {
  std::vector<at::Tensor> reversed(parameters.rbegin(), parameters.rend());
  std::vector<int64_t> indices(parameters.size());
  std::iota(indices.rbegin(), indices.rend(), 0);
  std::vector<bool> sparse(parameters.size(), false);
  return std::get<0>(c10d::compute_bucket_assignment_by_size(reversed, limits, sparse, indices));
}

} // namespace snaphook

extern "C" {

int snaphook_c10d_reducer_new(
    at::Tensor* const* pointers,
    const char* const* names,
    size_t count,
    const GroupHandle* group,
    int64_t bucket_bytes,
    int64_t first_bucket_bytes,
    bool finds_unused,
    bool keeps_buckets,
    bool verifies,
    ReducerHandle** out) noexcept {
  return snaphook::guarded([&] {
    auto parameters = snaphook::tensors(pointers, count);
    const auto& open = snaphook::open_group(group);
    if (verifies) {
      c10d::verify_params_across_processes(open, parameters, std::nullopt);
    }
    std::vector<size_t> limits{static_cast<size_t>(first_bucket_bytes), static_cast<size_t>(bucket_bytes)};
    if (!finds_unused && !keeps_buckets) {
      limits = {std::numeric_limits<size_t>::max()};
    }
    auto buckets = keeps_buckets ? snaphook::lasting_buckets(parameters, limits)
                                 : snaphook::first_buckets(parameters, limits);
    std::unordered_map<size_t, std::string> by_index;
    for (size_t index = 0; index < count; index++) {
      by_index[index] = names[index];
    }
    auto reducer = std::make_shared<c10d::Reducer>(
        std::move(parameters),
        std::move(buckets),
        open,
        std::vector<bool>(count, false),
        bucket_bytes,
        finds_unused,
        /*gradient_as_bucket_view=*/false,
        std::move(by_index),
        first_bucket_bytes,
        /*skip_all_reduce_unused_params=*/false,
        /*use_python_reducer=*/false,
        std::vector<int64_t>{});
    if (keeps_buckets) {
      (*reducer).*snaphook::Standing::has_made_buckets_anew() = true;
    }
    *out = new ReducerHandle(std::move(reducer));
  });
}

void snaphook_c10d_reducer_free(ReducerHandle* reducer) noexcept {
  snaphook::guarded([&] { delete reducer; });
}

int snaphook_c10d_reducer_prepare_forward(const ReducerHandle* reducer) noexcept {
  return snaphook::guarded([&] {
    (*reducer)->prepare_for_forward();
    (*reducer)->rebuild_buckets();
  });
}

int snaphook_c10d_reducer_prepare_backward(
    const ReducerHandle* reducer,
    at::Tensor* const* outputs,
    size_t count) noexcept {
  return snaphook::guarded([&] { (*reducer)->prepare_for_backward(snaphook::tensors(outputs, count)); });
}

// Writes which parameters took no part in the backward pass that was to end with an exchange, `*count` at most, and sets
// `*count` to how many they are; 0 after one that did. `is_over`: that pass has just been made, otherwise it is asked whether one
// was begun and left undone.
int snaphook_c10d_reducer_left_out(
    const ReducerHandle* reducer,
    bool is_over,
    size_t* indices,
    size_t* count) noexcept {
  return snaphook::guarded([&] {
    auto& standing = **reducer;
    const bool is_undone = standing.*snaphook::Standing::is_unfinished() ||
        (is_over && standing.*snaphook::Standing::awaits_gradients());
    const auto found = is_undone ? (standing.*reveal(snaphook::LeftOut{}))() : std::vector<size_t>{};
    std::copy_n(found.begin(), std::min(*count, found.size()), indices);
    *count = found.size();
  });
}

int snaphook_c10d_backward(at::Tensor* loss) noexcept {
  return snaphook::guarded([&] { loss->backward(); });
}

} // extern "C"
