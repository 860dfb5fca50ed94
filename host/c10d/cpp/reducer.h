// The engine of PyTorch's DistributedDataParallel. The order of calls is that of its Python side,
// torch/nn/parallel/distributed.py.
#pragma once

using ReducerHandle = std::shared_ptr<c10d::Reducer>;

extern "C" {

int snaphook_c10d_reducer_new(
    at::Tensor* const* pointers,
    const char* const* names,
    size_t count,
    const GroupHandle* group,
    int64_t bucket_bytes,
    int64_t first_bucket_bytes,
    bool finds_unused,
    ReducerHandle** out) noexcept {
  return snaphook::guarded([&] {
    auto parameters = snaphook::tensors(pointers, count);
    c10d::verify_params_across_processes(snaphook::open_group(group), parameters, std::nullopt);
    // Without a look for unused parameters, buckets are made anew after the first backward pass, in the order in which
    // gradients came: one bucket serves until then.
    std::vector<size_t> limits;
    if (finds_unused) {
      limits = {static_cast<size_t>(first_bucket_bytes), static_cast<size_t>(bucket_bytes)};
    } else {
      limits = {std::numeric_limits<size_t>::max()};
    }
    std::vector<bool> sparse(count, false);
    auto [buckets, bucket_limits] = c10d::compute_bucket_assignment_by_size(parameters, limits, sparse);
    std::reverse(buckets.begin(), buckets.end());
    std::unordered_map<size_t, std::string> by_index;
    for (size_t index = 0; index < count; index++) {
      by_index[index] = names[index];
    }
    *out = new ReducerHandle(std::make_shared<c10d::Reducer>(
        std::move(parameters),
        std::move(buckets),
        *group,
        std::move(sparse),
        bucket_bytes,
        finds_unused,
        /*gradient_as_bucket_view=*/false,
        std::move(by_index),
        first_bucket_bytes,
        /*skip_all_reduce_unused_params=*/false,
        /*use_python_reducer=*/false,
        std::vector<int64_t>{}));
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

int snaphook_c10d_backward(at::Tensor* loss) noexcept {
  return snaphook::guarded([&] { loss->backward(); });
}

} // extern "C"
