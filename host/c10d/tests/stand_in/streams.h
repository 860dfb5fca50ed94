// Streams and events that tell truthfully what has ended.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace stand_in {

struct Stream;

// So much of what each stream was asked for.
using Moments = std::vector<std::pair<Stream*, uint64_t>>;

struct Stream {
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> ended{0};
  std::mutex lock;
  // What the next thing on this stream waits for, on others.
  Moments after;
};

struct Event {
  std::mutex lock;
  Moments moments;
};

constexpr useconds_t kPause = 20;

inline bool is_over(const Moments& moments) {
  for (const auto& [stream, moment] : moments) {
    if (stream->ended.load() < moment) {
      return false;
    }
  }
  return true;
}

inline void wait_for(const Moments& moments) {
  while (!is_over(moments)) {
    usleep(kPause);
  }
}

// All that the stream was asked for until now.
inline Moments now_on(Stream* stream) {
  std::lock_guard<std::mutex> hold(stream->lock);
  Moments all = stream->after;
  all.emplace_back(stream, stream->asked.load());
  return all;
}

// The stream behind what CUDA calls one; without a name it is the default stream.
Stream* stream_of(void* name);

} // namespace stand_in
