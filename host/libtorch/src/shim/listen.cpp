// Writes down every operator that libtorch carries out: a callback of at::RecordFunction, as PyTorch's own profiler uses.
// Nothing is thrown across the border: what fails returns a text.

#include <ATen/record_function.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct Entry {
  uint32_t name;
  uint32_t thread;
  int64_t start;
  int64_t end;
  std::string shapes;
};

struct Open : public at::ObserverContext {
  int64_t start = 0;
  std::string shapes;
};

struct Notes {
  std::mutex lock;
  std::vector<std::string> names;
  std::unordered_map<std::string, uint32_t> numbers;
  std::unordered_map<uint64_t, uint32_t> threads;
  std::vector<Entry> entries;
  uint64_t limit = 0;
  uint64_t lost = 0;
};

Notes& notes() {
  // Never destroyed: threads of libtorch may outlive main.
  static Notes* all = new Notes();
  return *all;
}

bool with_shapes = false;
at::CallbackHandle handle = 0;
bool is_listening = false;

int64_t now() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

std::string shapes_of(const at::RecordFunction& function) {
  std::string text = "[";
  for (const auto& input : function.inputs()) {
    if (text.size() > 1) text += ",";
    text += "[";
    if (input.isTensor() && input.toTensor().defined()) {
      bool is_first = true;
      for (auto size : input.toTensor().sizes()) {
        if (!is_first) text += ",";
        text += std::to_string(size);
        is_first = false;
      }
    }
    text += "]";
  }
  return text + "]";
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto open = std::make_unique<Open>();
  if (with_shapes) {
    try {
      open->shapes = shapes_of(function);
    } catch (...) {
      // Tensors without sizes (nested ones): told without shapes.
      open->shapes.clear();
    }
  }
  open->start = now();
  return open;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  int64_t ended = now();
  auto* open = static_cast<Open*>(context);
  if (open == nullptr) return;
  Notes& all = notes();
  std::lock_guard<std::mutex> guard(all.lock);
  if (all.entries.size() >= all.limit) {
    all.lost += 1;
    return;
  }
  std::string name = function.name();
  auto found = all.numbers.find(name);
  if (found == all.numbers.end()) {
    found = all.numbers.emplace(name, static_cast<uint32_t>(all.names.size())).first;
    all.names.push_back(name);
  }
  auto thread = all.threads.emplace(at::RecordFunction::currentThreadId(), static_cast<uint32_t>(all.threads.size()));
  all.entries.push_back({found->second, thread.first->second, open->start, ended, std::move(open->shapes)});
}

}  // namespace

extern "C" {

typedef void (*snaphook_operator)(void* context, const char* name, size_t name_length, const char* shapes,
                                  size_t shapes_length, uint32_t thread, int64_t start, int64_t end);

// Nanoseconds of the clock that entries are told in.
int64_t snaphook_operators_now() { return now(); }

// False when somebody listens already.
bool snaphook_operators_start(uint64_t limit, bool shapes) {
  Notes& all = notes();
  std::lock_guard<std::mutex> guard(all.lock);
  if (is_listening) return false;
  all.entries.clear();
  all.threads.clear();
  all.limit = limit;
  all.lost = 0;
  with_shapes = shapes;
  try {
    handle = at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end)
                                       .needsInputs(shapes)
                                       .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                                                at::RecordScope::TORCHSCRIPT_FUNCTION}));
  } catch (...) {
    return false;
  }
  is_listening = true;
  return true;
}

// Ends listening and tells every entry; returns how many were over the limit.
uint64_t snaphook_operators_stop(void* context, snaphook_operator tell) {
  Notes& all = notes();
  {
    std::lock_guard<std::mutex> guard(all.lock);
    if (!is_listening) return 0;
    is_listening = false;
  }
  // Not under the lock: an operator that ends now waits for it.
  at::removeCallback(handle);
  std::vector<Entry> entries;
  uint64_t lost = 0;
  {
    std::lock_guard<std::mutex> guard(all.lock);
    entries.swap(all.entries);
    lost = all.lost;
  }
  for (const Entry& entry : entries) {
    const std::string& name = all.names[entry.name];
    tell(context, name.data(), name.size(), entry.shapes.data(), entry.shapes.size(), entry.thread, entry.start,
         entry.end);
  }
  return lost;
}

}  // extern "C"
