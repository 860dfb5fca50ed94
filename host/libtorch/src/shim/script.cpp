// A module of TorchScript with a method that tells its buffers. Nothing is thrown across the border: what fails tells a text.

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <sstream>
#include <string>

namespace {

// `stage.0.bn` as an expression, since a part of a sequence is named by a number.
std::string expression(const std::string& name) {
  std::string all = "self";
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, '.');) all = "getattr(" + all + ", '" + part + "')";
  return all;
}

std::string told(const char* path) {
  auto module = torch::jit::load(path, c10::Device(c10::kCPU));
  if (module.find_method("state_buffers")) return "";
  std::string method = "def state_buffers(self) -> Dict[str, Tensor]:\n  buffers: Dict[str, Tensor] = {}\n";
  for (const auto& buffer : module.named_buffers()) {
    method += "  buffers['" + buffer.name + "'] = " + expression(buffer.name) + "\n";
  }
  module.define(method + "  return buffers\n");
  std::ostringstream bytes;
  module.save(bytes);
  return bytes.str();
}

}  // namespace

extern "C" {

typedef void (*snaphook_bytes)(void* context, const char* bytes, size_t length);

// Hands over the module with the method, or nothing where it has it; else false, and why.
bool snaphook_script_with_buffers(const char* path, void* context, snaphook_bytes tell) {
  std::string text;
  bool is_done = false;
  try {
    text = told(path);
    is_done = true;
  } catch (const std::exception& error) {
    text = error.what();
  } catch (...) {
    text = "unknown error";
  }
  tell(context, text.data(), text.size());
  return is_done;
}

}  // extern "C"
