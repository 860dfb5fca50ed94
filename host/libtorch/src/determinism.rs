//! The same bits in every run. Knows nothing of seeds. The C++ side is `shim/determinism.cpp`.

unsafe extern "C" {
    fn snaphook_set_deterministic() -> bool;
}

/// From now on operations that could give other bits in another run take their deterministic form, slower on a GPU, or
/// fail with an error that names them where they have none. Nothing changes on a CPU, where all of them have. False where
/// libtorch refuses.
///
/// Source: `torch.use_deterministic_algorithms` and `set_random_seed` in `mmengine/runner/utils.py`.
pub fn set_deterministic() -> bool {
    // SAFETY: no arguments, and what is thrown is caught on the other side.
    unsafe { snaphook_set_deterministic() }
}
