// Stores: where processes find each other.
#pragma once

using StoreHandle = c10::intrusive_ptr<c10d::Store>;

struct SnaphookBytes {
  uint8_t* data;
  size_t length;
};

namespace snaphook {

// Makes libtorch look at TORCH_CPP_LOG_LEVEL, which only its Python side does by itself.
inline void start_logging() {
  static std::once_flag once;
  std::call_once(once, [] { c10::initLogging(); });
}

// libtorch keeps a record of the last collectives of all groups in a process, and crashes when groups in several threads write
// into it at once (2.11, std::map without a lock in FlightRecorder). A user's own setting wins.
inline void stop_recording() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (getenv("TORCH_FR_BUFFER_SIZE") == nullptr) setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  });
}

} // namespace snaphook

extern "C" {

int snaphook_c10d_store_tcp(
    const char* host,
    uint16_t port,
    bool is_server,
    int64_t workers,
    bool waits,
    int64_t timeout_ms,
    StoreHandle** out) noexcept {
  return snaphook::guarded([&] {
    snaphook::start_logging();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_server;
    if (workers > 0) {
      options.numWorkers = static_cast<size_t>(workers);
    }
    options.waitWorkers = waits;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    *out = new StoreHandle(c10::make_intrusive<c10d::TCPStore>(host, options));
  });
}

int snaphook_c10d_store_file(const char* path, int64_t workers, int64_t timeout_ms, StoreHandle** out) noexcept {
  return snaphook::guarded([&] {
    auto store = c10::make_intrusive<c10d::FileStore>(path, static_cast<int>(workers));
    store->setTimeout(std::chrono::milliseconds(timeout_ms));
    *out = new StoreHandle(std::move(store));
  });
}

int snaphook_c10d_store_prefix(const char* prefix, const StoreHandle* store, StoreHandle** out) noexcept {
  return snaphook::guarded(
      [&] { *out = new StoreHandle(c10::make_intrusive<c10d::PrefixStore>(prefix, *store)); });
}

void snaphook_c10d_store_free(StoreHandle* store) noexcept {
  snaphook::guarded([&] { delete store; });
}

int snaphook_c10d_store_port(const StoreHandle* store, uint16_t* out) noexcept {
  return snaphook::guarded([&] {
    auto* tcp = dynamic_cast<c10d::TCPStore*>(store->get());
    TORCH_CHECK(tcp != nullptr, "only a TCP store has a port");
    *out = tcp->getPort();
  });
}

int snaphook_c10d_store_set(const StoreHandle* store, const char* key, const uint8_t* data, size_t length) noexcept {
  return snaphook::guarded([&] { (*store)->set(key, std::vector<uint8_t>(data, data + length)); });
}

int snaphook_c10d_store_get(const StoreHandle* store, const char* key, SnaphookBytes* out) noexcept {
  return snaphook::guarded([&] {
    auto value = (*store)->get(key);
    out->length = value.size();
    out->data = new uint8_t[value.size()];
    std::copy(value.begin(), value.end(), out->data);
  });
}

void snaphook_c10d_bytes_free(SnaphookBytes bytes) noexcept {
  delete[] bytes.data;
}

int snaphook_c10d_store_add(const StoreHandle* store, const char* key, int64_t amount, int64_t* out) noexcept {
  return snaphook::guarded([&] { *out = (*store)->add(key, amount); });
}

int snaphook_c10d_store_has(const StoreHandle* store, const char* key, bool* out) noexcept {
  return snaphook::guarded([&] { *out = (*store)->check({key}); });
}

int snaphook_c10d_store_delete(const StoreHandle* store, const char* key, bool* out) noexcept {
  return snaphook::guarded([&] { *out = (*store)->deleteKey(key); });
}

int snaphook_c10d_store_wait(const StoreHandle* store, const char* key, int64_t timeout_ms) noexcept {
  return snaphook::guarded([&] { (*store)->wait({key}, std::chrono::milliseconds(timeout_ms)); });
}

} // extern "C"
