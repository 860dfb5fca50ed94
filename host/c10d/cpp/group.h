// Process groups and their collectives.
#pragma once

using GroupHandle = c10::intrusive_ptr<c10d::ProcessGroup>;
using WorkHandle = c10::intrusive_ptr<c10d::Work>;

namespace snaphook {

// The group behind a handle, unless it was closed.
inline const GroupHandle& open_group(const GroupHandle* group) {
  TORCH_CHECK(group->defined(), "the group is closed: this rank has failed");
  return *group;
}

// The parts of a group that talk over Gloo: one, and where ranks compare what they are about to do, one for that.
inline std::vector<c10::intrusive_ptr<c10d::ProcessGroupGloo>> gloos_of(const GroupHandle& group) {
  auto backend = group->getBackend(c10d::ProcessGroup::GLOO);
  std::vector<c10::intrusive_ptr<c10d::Backend>> parts{backend};
  if (auto* checked = dynamic_cast<c10d::ProcessGroupWrapper*>(backend.get())) {
    parts = {checked->getWrappedPg(), checked->*reveal(Comparing{})};
  }
  std::vector<c10::intrusive_ptr<c10d::ProcessGroupGloo>> gloos;
  for (auto& part : parts) {
    gloos.push_back(c10::static_intrusive_pointer_cast<c10d::ProcessGroupGloo>(part));
  }
  return gloos;
}

// The part of a group that talks between GPUs, if it has one.
inline c10::intrusive_ptr<c10d::Backend> nccl_of(const GroupHandle& group) {
  for (const auto& device : group->getDeviceTypes()) {
    if (device.type() == c10::DeviceType::CUDA) {
      return group->getBackend(device.type());
    }
  }
  return {};
}

// When NCCL's watchdog gives a collective up. What ranks agree upon over Gloo is to run out of time before, where the CPU
// does not wait for the GPU: its error names the rank.
inline std::chrono::milliseconds nccl_timeout(std::chrono::milliseconds timeout) {
  return timeout + std::min(timeout, std::chrono::milliseconds(5'000));
}

// Waits until NCCL's threads of a group that was told to end are gone, at most so long: they look ten times a second whether
// they are to end, and one that is at work while the process ends takes it down with SIGABRT.
inline void await_nccl_threads() {
  constexpr auto kPatience = std::chrono::seconds(3);
  constexpr auto kPause = std::chrono::milliseconds(10);
  auto is_there = [] {
    std::error_code unreadable;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", unreadable)) {
      std::string name;
      std::getline(std::ifstream(thread.path() / "comm"), name);
      if (name.rfind("pt_nccl_", 0) == 0) {
        return true;
      }
    }
    return false;
  };
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (is_there() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kPause);
  }
}

inline std::vector<at::Tensor> tensors(at::Tensor* const* pointers, size_t count) {
  std::vector<at::Tensor> all;
  all.reserve(count);
  for (size_t index = 0; index < count; index++) {
    all.push_back(*pointers[index]);
  }
  return all;
}

inline WorkHandle* keep(WorkHandle work) {
  return new WorkHandle(std::move(work));
}

} // namespace snaphook

extern "C" {

// `address` is a host name or an IP address to listen on, `interface` the name of a network card, or several
// with commas between; both may be empty. `checks`: before each collective ranks compare what they are about to do.
int snaphook_c10d_group_gloo(
    const StoreHandle* store,
    int rank,
    int size,
    const char* address,
    const char* interface,
    bool checks,
    int64_t timeout_ms,
    GroupHandle** out) noexcept {
  return snaphook::guarded([&] {
    snaphook::stop_recording();
    auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::milliseconds(timeout_ms));
    if (*interface != '\0') {
      std::istringstream names(interface);
      for (std::string name; std::getline(names, name, ',');) {
        options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
      }
    } else if (*address != '\0') {
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    } else {
      options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
    }
    // As torch.distributed names it, so that a process of PyTorch finds ours.
    auto scoped = c10::make_intrusive<c10d::PrefixStore>("cpu/", *store);
    c10::intrusive_ptr<c10d::Backend> gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(scoped, rank, size, options);
    if (checks) {
      // As torch.distributed names that of TORCH_DISTRIBUTED_DEBUG=DETAIL.
      auto beside = c10::make_intrusive<c10d::PrefixStore>("pg_wrapper:0", scoped);
      c10::intrusive_ptr<c10d::Backend> comparing =
          c10::make_intrusive<c10d::ProcessGroupGloo>(beside, rank, size, options);
      gloo = c10::make_intrusive<c10d::ProcessGroupWrapper>(gloo, comparing);
    }
    auto group = c10::make_intrusive<c10d::ProcessGroup>(*store, rank, size);
    group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::GLOO, gloo);
    group->setDefaultBackend(c10d::ProcessGroup::GLOO);
    group->setGroupName("snaphook");
    *out = new GroupHandle(std::move(group));
  });
}

void snaphook_c10d_group_free(GroupHandle* group) noexcept {
  snaphook::guarded([&] {
    std::unique_ptr<GroupHandle> owned(group);
    if (auto nccl = owned->defined() ? snaphook::nccl_of(*owned) : nullptr) {
      nccl->shutdown();
      snaphook::await_nccl_threads();
    }
  });
}

// Closes the connections at once: what waits on either side fails. Taking the group down would wait for it instead, so
// that it is left as it is.
void snaphook_c10d_group_close(GroupHandle* group) noexcept {
  snaphook::guarded([&] {
    for (auto& gloo : snaphook::gloos_of(*group)) {
      for (auto& context : (*gloo).*snaphook::Contexts::member()) {
        context->closeConnections();
      }
    }
    if (auto nccl = snaphook::nccl_of(*group)) {
      nccl->abort();
      snaphook::await_nccl_threads();
    }
    new GroupHandle(std::move(*group));
  });
}

int snaphook_c10d_group_set_timeout(const GroupHandle* group, int64_t timeout_ms) noexcept {
  return snaphook::guarded([&] {
    const std::chrono::milliseconds timeout(timeout_ms);
    for (auto& gloo : snaphook::gloos_of(snaphook::open_group(group))) {
      gloo->setTimeout(timeout);
    }
    if (auto nccl = snaphook::nccl_of(*group)) {
      nccl->setTimeout(snaphook::nccl_timeout(timeout));
    }
  });
}

// Whether no collective between GPUs has failed: they go on while the CPU does something else.
int snaphook_c10d_group_check(const GroupHandle* group) noexcept {
  return snaphook::guarded([&] {
    auto nccl = snaphook::nccl_of(snaphook::open_group(group));
    if (nccl == nullptr) {
      return;
    }
    const auto error = nccl->getError();
    TORCH_CHECK(error != c10d::ErrorType::TIMEOUT, "Timed out: a collective of GPUs");
    TORCH_CHECK(error == c10d::ErrorType::SUCCESS, "Connection closed: a collective of GPUs has failed");
  });
}

int snaphook_c10d_all_reduce(const GroupHandle* group, at::Tensor* tensor, uint8_t op, WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    std::vector<at::Tensor> all{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = static_cast<c10d::ReduceOp::RedOpType>(op);
    *out = snaphook::keep(snaphook::open_group(group)->allreduce(all, options));
  });
}

int snaphook_c10d_broadcast(const GroupHandle* group, at::Tensor* tensor, int root, WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    std::vector<at::Tensor> all{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    *out = snaphook::keep(snaphook::open_group(group)->broadcast(all, options));
  });
}

int snaphook_c10d_broadcast_coalesced(
    const GroupHandle* group,
    at::Tensor* const* pointers,
    size_t count,
    size_t buffer_bytes,
    int root) noexcept {
  return snaphook::guarded([&] {
    at::NoGradGuard no_gradients;
    std::vector<at::Tensor> all;
    for (auto& tensor : snaphook::tensors(pointers, count)) {
      all.push_back(tensor.detach());
    }
    c10d::broadcast_coalesced(snaphook::open_group(group), all, buffer_bytes, root);
  });
}

int snaphook_c10d_all_gather(
    const GroupHandle* group,
    at::Tensor* const* outputs,
    size_t count,
    at::Tensor* input,
    WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    std::vector<std::vector<at::Tensor>> all{snaphook::tensors(outputs, count)};
    std::vector<at::Tensor> inputs{*input};
    *out = snaphook::keep(snaphook::open_group(group)->allgather(all, inputs));
  });
}

int snaphook_c10d_gather(
    const GroupHandle* group,
    at::Tensor* const* outputs,
    size_t count,
    at::Tensor* input,
    int root,
    WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    std::vector<std::vector<at::Tensor>> all;
    if (snaphook::open_group(group)->getRank() == root) {
      all.push_back(snaphook::tensors(outputs, count));
    }
    std::vector<at::Tensor> inputs{*input};
    c10d::GatherOptions options;
    options.rootRank = root;
    *out = snaphook::keep(snaphook::open_group(group)->gather(all, inputs, options));
  });
}

int snaphook_c10d_reduce_scatter(
    const GroupHandle* group,
    at::Tensor* output,
    at::Tensor* const* inputs,
    size_t count,
    uint8_t op,
    WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    std::vector<at::Tensor> outputs{*output};
    std::vector<std::vector<at::Tensor>> all{snaphook::tensors(inputs, count)};
    c10d::ReduceScatterOptions options;
    options.reduceOp = static_cast<c10d::ReduceOp::RedOpType>(op);
    *out = snaphook::keep(snaphook::open_group(group)->reduce_scatter(outputs, all, options));
  });
}

int snaphook_c10d_all_to_all(
    const GroupHandle* group,
    at::Tensor* output,
    at::Tensor* input,
    WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    // Equal parts.
    std::vector<int64_t> none;
    *out = snaphook::keep(snaphook::open_group(group)->alltoall_base(*output, *input, none, none));
  });
}

int snaphook_c10d_barrier(const GroupHandle* group, WorkHandle** out) noexcept {
  return snaphook::guarded([&] {
    c10d::BarrierOptions options;
    options.device = c10::Device(c10::DeviceType::CPU);
    *out = snaphook::keep(snaphook::open_group(group)->barrier(options));
  });
}

int snaphook_c10d_work_wait(const WorkHandle* work, int64_t timeout_ms) noexcept {
  return snaphook::guarded([&] {
    TORCH_CHECK(
        (*work)->wait(std::chrono::milliseconds(timeout_ms)), "Timed out after ", timeout_ms, " ms");
  });
}

bool snaphook_c10d_work_is_completed(const WorkHandle* work) noexcept {
  bool is_completed = true;
  snaphook::guarded([&] { is_completed = (*work)->isCompleted(); });
  return is_completed;
}

void snaphook_c10d_work_free(WorkHandle* work) noexcept {
  snaphook::guarded([&] { delete work; });
}

} // extern "C"
