//! Opens libtorch's CUDA part where it lies beside the CPU part, so that one build runs on both.
//! Knows nothing of models.

use std::path::PathBuf;

use tch::Device;

/// Opens `libtorch_cuda.so` if it is there; that registers the CUDA kernels. Says what it did.
///
/// Errors: the library is there and cannot be opened; the run then goes on without it.
pub(crate) fn open() -> Result<Option<PathBuf>, String> {
    let Some(path) = beside_libtorch().filter(|path| path.is_file()) else { return Ok(None) };
    snaphook_loader::open_system_library(&path).map_err(|error| error.to_string())?;
    Ok(Some(path))
}

/// The device of `device='auto'`: the first GPU where there is one.
pub(crate) fn best_device() -> Device {
    Device::cuda_if_available()
}

/// The folder that `libtorch_cpu.so` was loaded from.
fn beside_libtorch() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let library = PathBuf::from(line.get(line.find('/')?..)?);
    Some(library.parent()?.join("libtorch_cuda.so"))
}
