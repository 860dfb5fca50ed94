// Whether operations may give other bits in another run. Nothing is thrown across the border.

#include <ATen/Context.h>

extern "C" {

// False where libtorch refuses.
bool snaphook_set_deterministic() {
  try {
    auto& context = at::globalContext();
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
    context.setDeterministicAlgorithms(true, false);
    return true;
  } catch (...) {
    return false;
  }
}

}  // extern "C"
