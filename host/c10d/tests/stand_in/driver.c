// CUDA's driver, as far as libtorch asks it by itself. See runtime.cpp.

int cuInit(unsigned flags) {
  (void)flags;
  return 0;
}

int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* is_active) {
  (void)device;
  *flags = 0;
  *is_active = 1;
  return 0;
}

int cuGetErrorString(int code, const char** words) {
  (void)code;
  *words = "an error of the stand-in for CUDA";
  return 0;
}
