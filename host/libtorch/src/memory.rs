//! The memory of GPUs. Knows nothing of runs. The C++ side is `shim/memory.cpp`.

unsafe extern "C" {
    fn snaphook_memory_empty_cache() -> bool;
    fn snaphook_memory_stats(device: i8, reset: bool, peak: *mut i64, reserved: *mut i64) -> bool;
}

/// What libtorch's allocator knows of one GPU, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuMemory {
    /// Most that tensors took since the last reset.
    pub peak: u64,
    /// What the allocator holds, for tensors and for later.
    pub reserved: u64,
}

/// Gives memory that no tensor uses back to the GPU's driver; `false` where no GPU is used.
///
/// Source: `torch.cuda.empty_cache`.
pub fn empty_cache() -> bool {
    // SAFETY: no arguments, and what is thrown is caught on the other side.
    unsafe { snaphook_memory_empty_cache() }
}

/// The memory of the GPU with this number, and whether its peak starts anew from now; `None` where no GPU is used.
///
/// Source: `torch.cuda.max_memory_allocated` and `torch.cuda.reset_peak_memory_stats`.
pub fn gpu_memory(device: usize, is_reset: bool) -> Option<GpuMemory> {
    let device = i8::try_from(device).ok()?;
    let (mut peak, mut reserved) = (0, 0);
    // SAFETY: the two numbers live through the call, which writes them and throws nothing.
    let is_known = unsafe { snaphook_memory_stats(device, is_reset, &mut peak, &mut reserved) };
    let bytes = |value: i64| u64::try_from(value).unwrap_or(0);
    is_known.then(|| GpuMemory { peak: bytes(peak), reserved: bytes(reserved) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_gpu_there_is_nothing_to_tell() {
        if !tch::Cuda::is_available() {
            assert!(!empty_cache());
            assert_eq!(gpu_memory(0, true), None);
        }
        assert_eq!(gpu_memory(1000, false), None);
    }
}
