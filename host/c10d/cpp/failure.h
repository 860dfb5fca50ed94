// How exceptions become numbers and text. A function returns what kind of failure it was, and the text is kept for the
// calling thread until its next call.
#pragma once

#include <algorithm>
#include <new>
#include <string>

namespace snaphook {

enum Failure : int {
  kNone = 0,
  kTimeout = 1,
  kConnection = 2,
  kOther = 3,
};

inline std::string& last_words() {
  static thread_local std::string words;
  return words;
}

// What libtorch says, in one line, without the stack of addresses that it adds below.
inline std::string words_of(std::string text) {
  for (const char* mark : {"\nException raised from", "\nC++ CapturedTraceback", "\nframe #"}) {
    text.resize(std::min(text.find(mark), text.size()));
  }
  std::string line;
  for (const char letter : text) {
    const bool is_space = letter == '\n' || letter == '\t' || letter == ' ';
    if (!is_space) {
      line += letter;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return line;
}

inline bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// "Read error [", "writev [" and "Socket closed" are how Gloo's pairs tell what the kernel says of a connection.
inline int kind_of(const std::string& text) {
  if (contains(text, "imed out") || contains(text, "imeout")) {
    return kTimeout;
  }
  for (const char* part :
       {"onnection closed", "onnection reset", "onnection refused", "roken pipe", "ailed to connect", "failed to recv",
        "failed to send", "Read error [", "writev [", "Socket closed", "o route to host", "etwork is unreachable"}) {
    if (contains(text, part)) {
      return kConnection;
    }
  }
  return kOther;
}

inline int fail(int kind, const std::string& text) {
  last_words() = text;
  return kind;
}

template <typename Function>
int guarded(Function&& function) noexcept {
  try {
    function();
    return kNone;
  } catch (const c10::DistStoreError& error) {
    auto text = words_of(error.what_without_backtrace());
    return fail(contains(text, "imeout") || contains(text, "imed out") ? kTimeout : kConnection, text);
  } catch (const c10::DistNetworkError& error) {
    auto text = words_of(error.what_without_backtrace());
    return fail(contains(text, "imed out") ? kTimeout : kConnection, text);
  } catch (const c10::Error& error) {
    auto text = words_of(error.what_without_backtrace());
    return fail(kind_of(text), text);
  } catch (const std::exception& error) {
    auto text = words_of(error.what());
    return fail(kind_of(text), text);
  } catch (...) {
    return fail(kOther, "an exception without a text");
  }
}

} // namespace snaphook

extern "C" inline __attribute__((used, visibility("default"))) const char* snaphook_c10d_last_words() noexcept {
  return snaphook::last_words().c_str();
}
