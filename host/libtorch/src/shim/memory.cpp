// The allocator of a GPU, through libtorch's interface for every kind of device: no headers of CUDA are needed.
// Nothing is thrown across the border.

#include <c10/core/CachingDeviceAllocator.h>

#include <cstdint>

namespace {

at::DeviceAllocator* cuda() {
  // Asking for an allocator that was never registered is an error in libtorch.
  if (c10::GetAllocator(c10::DeviceType::CUDA) == nullptr) return nullptr;
  return at::getDeviceAllocator(c10::DeviceType::CUDA);
}

}  // namespace

extern "C" {

// False where there is no such allocator, or it refuses.
bool snaphook_memory_empty_cache() {
  try {
    auto* allocator = cuda();
    if (allocator == nullptr) return false;
    allocator->emptyCache();
    return true;
  } catch (...) {
    return false;
  }
}

// Most bytes that tensors took since the last reset, and bytes that the allocator holds; resets the first if asked.
bool snaphook_memory_stats(int8_t device, bool reset, int64_t* peak, int64_t* reserved) {
  try {
    auto* allocator = cuda();
    if (allocator == nullptr || !allocator->initialized()) return false;
    auto stats = allocator->getDeviceStats(device);
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *peak = stats.allocated_bytes[all].peak;
    *reserved = stats.reserved_bytes[all].current;
    if (reset) allocator->resetPeakStats(device);
    return true;
  } catch (...) {
    return false;
  }
}

}  // extern "C"
