// The backend for GPUs, from the part of libtorch that machines with GPUs have. It is opened at run time, so that one build
// runs on both. Its header needs those of CUDA and NCCL, so two constructors are found by their names instead, and what
// they make is used as its base class, which this was compiled against.
#pragma once

#include <dlfcn.h>
#include <link.h>

#include <cstring>

namespace snaphook {

struct Nccl {
  // Arguments of a class with a destructor are handed over by their address.
  using NewOptions = void (*)(void* room, bool is_high_priority_stream);
  using NewGroup = void (*)(
      void* room,
      c10::intrusive_ptr<c10d::Store>* store,
      int rank,
      int size,
      c10::intrusive_ptr<c10d::Backend::Options>* options);
  NewOptions new_options;
  NewGroup new_group;
};

inline std::string last_linker_error() {
  const char* words = dlerror();
  return words == nullptr ? "no reason given" : words;
}

// The CUDA part of the libtorch that this process runs: what is open already, or what lies beside its CPU part.
inline void* open_cuda_part() {
  if (void* open = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_NOLOAD)) {
    return open;
  }
  void* cpu = dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD);
  link_map* map = nullptr;
  TORCH_CHECK(
      cpu != nullptr && dlinfo(cpu, RTLD_DI_LINKMAP, &map) == 0, "libtorch_cpu.so: not found, ", last_linker_error());
  const std::string own = map->l_name;
  const std::string path = own.substr(0, own.rfind('/') + 1) + "libtorch_cuda.so";
  TORCH_CHECK(
      access(path.c_str(), F_OK) == 0,
      path,
      ": expected libtorch's part for GPUs beside its other libraries, found none (NCCL needs the libtorch of a CUDA "
      "package, of this version)");
  void* cuda = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  TORCH_CHECK(
      cuda != nullptr,
      path,
      ": expected the part for GPUs of the libtorch that lies beside it, found one that cannot be opened: ",
      last_linker_error());
  return cuda;
}

inline const Nccl& nccl() {
  static const Nccl found = [] {
    void* cuda = open_cuda_part();
    auto constructor = [&](const char* name) {
      void* address = dlsym(cuda, name);
      TORCH_CHECK(
          address != nullptr,
          "libtorch_cuda.so: expected NCCL's process group of libtorch 2.11, found one without ",
          name,
          " (use the libtorch of a CUDA package, of this version)");
      return address;
    };
    Nccl nccl{};
    nccl.new_options =
        reinterpret_cast<Nccl::NewOptions>(constructor("_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb"));
    nccl.new_group = reinterpret_cast<Nccl::NewGroup>(constructor(
        "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_"
        "EEEEiiNS2_INS0_7OptionsENS5_IS8_EEEE"));
    return nccl;
  }();
  return found;
}

// Memory for an object whose size this build does not know. libtorch 2.11.0 takes 248 bytes for the options and 1112 for the
// group (the constant that their deleting destructors hand to `operator delete`, see scripts/nccl_layout.sh); there is more
// than three times as much, and the far half must be left alone. It is never given back: whoever did would have to tell
// the right size.
class Room {
 public:
  Room() : bytes_(static_cast<unsigned char*>(::operator new(kBytes))) {
    std::memset(bytes_, kUntouched, kBytes);
  }
  Room(const Room&) = delete;
  ~Room() {
    if (bytes_ != nullptr) {
      ::operator delete(bytes_);
    }
  }
  void* get() const {
    return bytes_;
  }
  // The object in it, which begins with its base class `Base`, as one that lives as long as the process.
  template <typename Base>
  c10::intrusive_ptr<Base> leak() {
    auto object = c10::intrusive_ptr<Base>::unsafe_steal_from_new(static_cast<Base*>(static_cast<void*>(bytes_)));
    auto is_untouched = std::all_of(
        bytes_ + kBytes / 2, bytes_ + kBytes, [](unsigned char byte) { return byte == kUntouched; });
    bytes_ = nullptr;
    auto forever = object;
    (void)forever.release();
    TORCH_CHECK(is_untouched, "libtorch_cuda.so: expected NCCL's process group of libtorch 2.11, found a larger one");
    return object;
  }

 private:
  static constexpr size_t kBytes = 4096;
  static constexpr unsigned char kUntouched = 0xa5;
  unsigned char* bytes_;
};

// Where a rank does not come in time, the watchdog ends the collective and with it whatever waits for the GPU, and the group
// tells of it (snaphook_c10d_group_check). Its own way is to end the process a minute later, without a word of the others.
// There is no record of collectives to be written before (stop_recording).
inline void outlive_failures() {
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2", /*overwrite=*/0);
  setenv("TORCH_NCCL_DUMP_ON_TIMEOUT", "0", /*overwrite=*/0);
  setenv("TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC", "0", /*overwrite=*/0);
}

inline c10::intrusive_ptr<c10d::Backend> new_nccl(
    c10::intrusive_ptr<c10d::Store> store,
    int rank,
    int size,
    std::chrono::milliseconds timeout) {
  outlive_failures();
  Room options_room;
  nccl().new_options(options_room.get(), /*is_high_priority_stream=*/false);
  auto options = options_room.leak<c10d::Backend::Options>();
  TORCH_CHECK(options->backend == "nccl", "libtorch_cuda.so: expected options of nccl, found ", options->backend);
  options->timeout = timeout;
  Room group_room;
  nccl().new_group(group_room.get(), &store, rank, size, &options);
  auto group = group_room.leak<c10d::Backend>();
  TORCH_CHECK(group->getBackendName() == "nccl", "libtorch_cuda.so: expected nccl, found ", group->getBackendName());
  return group;
}

} // namespace snaphook

// Collectives on tensors of GPUs go over NCCL from now on; `device` becomes this thread's GPU.
extern "C" int snaphook_c10d_group_add_nccl(
    const GroupHandle* handle,
    const StoreHandle* store,
    int device,
    int64_t timeout_ms) noexcept {
  return snaphook::guarded([&] {
    const auto& group = snaphook::open_group(handle);
    // As torch.distributed names it, so that a process of PyTorch finds ours.
    auto scoped = c10::make_intrusive<c10d::PrefixStore>("cuda/", *store);
    auto nccl = snaphook::new_nccl(
        std::move(scoped),
        group->getRank(),
        group->getSize(),
        snaphook::nccl_timeout(std::chrono::milliseconds(timeout_ms)));
    c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).setDevice(
        c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device)));
    group->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::NCCL, nccl);
    group->setGroupName("snaphook");
  });
}
