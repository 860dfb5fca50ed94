// A stand-in for NCCL, between processes of one machine. See runtime.cpp.
//
// A communicator does what it is asked for on a thread of its own, in order, and each operation after what its stream waits
// for. A rank that does not come is waited for until the communicator is aborted, as NCCL's kernels do. Numbers are added up
// by rank, for floats alone.
#include "streams.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <cuda_runtime_api.h>
#include <nccl.h>

namespace {

constexpr int kRanks = 8;
// What each rank has to say at a time.
constexpr size_t kFloats = 1 << 20;
constexpr size_t kBytes = kFloats * sizeof(float);

// What the processes of a communicator have in common.
struct Table {
  std::atomic<int> arrived;
  std::atomic<int> round;
  float places[kRanks][kFloats];
};

size_t width(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
    default:
      return 4;
  }
}

float reduced(ncclRedOp_t op, float all, float one) {
  switch (op) {
    case ncclProd:
      return all * one;
    case ncclMax:
      return std::max(all, one);
    case ncclMin:
      return std::min(all, one);
    default:
      return all + one;
  }
}

} // namespace

struct ncclComm {
  const int rank;
  const int size;
  Table* const table;
  std::atomic<bool> is_aborted{false};

  ncclComm(int rank, int size, Table* table) : rank(rank), size(size), table(table), worker([this] { run(); }) {}

  // Waits for all ranks; false where it was aborted meanwhile.
  bool meet() {
    const int round = table->round.load();
    if (table->arrived.fetch_add(1) + 1 == size) {
      table->arrived.store(0);
      table->round.fetch_add(1);
    }
    while (table->round.load() == round && !is_aborted) {
      usleep(stand_in::kPause);
    }
    return !is_aborted;
  }

  // Each rank puts `bytes` in its place, all meet, and `take` reads what lies in all places.
  void exchange(const void* from, size_t bytes, const std::function<void()>& take) {
    std::memcpy(table->places[rank], from, bytes);
    if (meet()) {
      take();
      meet();
    }
  }

  float all_of(size_t at, ncclRedOp_t op) const {
    float all = table->places[0][at];
    for (int other = 1; other < size; other++) {
      all = reduced(op, all, table->places[other][at]);
    }
    return op == ncclAvg ? all / static_cast<float>(size) : all;
  }

  ncclResult_t ask(cudaStream_t name, std::function<void()> act) {
    auto* stream = stand_in::stream_of(name);
    auto before = stand_in::now_on(stream);
    stream->asked.fetch_add(1);
    std::lock_guard<std::mutex> hold(lock);
    queue.emplace_back([this, stream, before = std::move(before), act = std::move(act)] {
      while (!stand_in::is_over(before) && !is_aborted) {
        usleep(stand_in::kPause);
      }
      if (!is_aborted) {
        act();
      }
      stream->ended.fetch_add(1);
    });
    changed.notify_one();
    return ncclSuccess;
  }

  void end() {
    {
      std::lock_guard<std::mutex> hold(lock);
      is_ending = true;
      changed.notify_one();
    }
    if (worker.joinable()) {
      worker.join();
    }
  }

 private:
  std::mutex lock;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  bool is_ending = false;
  std::thread worker;

  void run() {
    while (true) {
      std::function<void()> act;
      {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait(hold, [this] { return is_ending || !queue.empty(); });
        if (queue.empty()) {
          return;
        }
        act = std::move(queue.front());
        queue.pop_front();
      }
      act();
    }
  }
};

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "an error of the stand-in for NCCL";
}

const char* ncclGetLastError(ncclComm_t) {
  return "";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> made{0};
  std::memset(id, 0, sizeof *id);
  std::snprintf(id->internal, sizeof id->internal, "/stand-in-%d-%d", getpid(), made.fetch_add(1));
  // What a process with this number left.
  shm_unlink(id->internal);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank, ncclConfig_t*) {
  if (size > kRanks) {
    return ncclInvalidArgument;
  }
  const int file = shm_open(id.internal, O_CREAT | O_RDWR, 0600);
  if (file < 0 || ftruncate(file, sizeof(Table)) != 0) {
    return ncclSystemError;
  }
  void* memory = mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) {
    return ncclSystemError;
  }
  *comm = new ncclComm(rank, size, static_cast<Table*>(memory));
  (*comm)->meet();
  shm_unlink(id.internal);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, size, id, rank, nullptr);
}

ncclResult_t ncclCommInitRankScalable(
    ncclComm_t* comm,
    int size,
    int rank,
    int,
    ncclUniqueId* ids,
    ncclConfig_t* config) {
  return ncclCommInitRankConfig(comm, size, ids[0], rank, config);
}

ncclResult_t ncclCommFinalize(ncclComm_t) {
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm != nullptr) {
    comm->end();
  }
  return ncclSuccess;
}

// libtorch's watchdog does it twice, the second time to none.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (comm != nullptr) {
    comm->is_aborted = true;
    comm->end();
  }
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = comm->size;
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = comm->rank;
  return ncclSuccess;
}

ncclResult_t ncclCommRegister(const ncclComm_t, void*, size_t, void** handle) {
  *handle = nullptr;
  return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t, void*) {
  return ncclSuccess;
}

ncclResult_t ncclGroupStart(void) {
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void) {
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(
    const void* from,
    void* to,
    size_t count,
    ncclDataType_t type,
    ncclRedOp_t op,
    ncclComm_t comm,
    cudaStream_t stream) {
  if (comm->size == 1) {
    return comm->ask(stream, [=] { std::memmove(to, from, count * width(type)); });
  }
  if (type != ncclFloat32) {
    return ncclInvalidArgument;
  }
  return comm->ask(stream, [=] {
    auto* in = static_cast<const float*>(from);
    auto* out = static_cast<float*>(to);
    for (size_t begin = 0; begin < count; begin += kFloats) {
      const size_t some = std::min(kFloats, count - begin);
      comm->exchange(in + begin, some * sizeof(float), [=] {
        for (size_t at = 0; at < some; at++) {
          out[begin + at] = comm->all_of(at, op);
        }
      });
    }
  });
}

ncclResult_t ncclBroadcast(
    const void* from,
    void* to,
    size_t count,
    ncclDataType_t type,
    int root,
    ncclComm_t comm,
    cudaStream_t stream) {
  const size_t bytes = count * width(type);
  return comm->ask(stream, [=] {
    for (size_t begin = 0; begin < bytes; begin += kBytes) {
      const size_t some = std::min(kBytes, bytes - begin);
      comm->exchange(static_cast<const char*>(from) + begin, some, [=] {
        std::memcpy(static_cast<char*>(to) + begin, comm->table->places[root], some);
      });
    }
  });
}

ncclResult_t ncclBcast(
    void* buffer,
    size_t count,
    ncclDataType_t type,
    int root,
    ncclComm_t comm,
    cudaStream_t stream) {
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}

ncclResult_t ncclAllGather(
    const void* from,
    void* to,
    size_t count,
    ncclDataType_t type,
    ncclComm_t comm,
    cudaStream_t stream) {
  const size_t bytes = count * width(type);
  if (bytes > kBytes) {
    return ncclInvalidArgument;
  }
  return comm->ask(stream, [=] {
    comm->exchange(from, bytes, [=] {
      for (int rank = 0; rank < comm->size; rank++) {
        std::memcpy(static_cast<char*>(to) + bytes * static_cast<size_t>(rank), comm->table->places[rank], bytes);
      }
    });
  });
}

ncclResult_t ncclReduceScatter(
    const void* from,
    void* to,
    size_t count,
    ncclDataType_t type,
    ncclRedOp_t op,
    ncclComm_t comm,
    cudaStream_t stream) {
  const size_t all = count * static_cast<size_t>(comm->size);
  if (type != ncclFloat32 || all > kFloats) {
    return ncclInvalidArgument;
  }
  return comm->ask(stream, [=] {
    comm->exchange(from, all * sizeof(float), [=] {
      for (size_t at = 0; at < count; at++) {
        static_cast<float*>(to)[at] = comm->all_of(static_cast<size_t>(comm->rank) * count + at, op);
      }
    });
  });
}

} // extern "C"
