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

/// The device of one of `local_world` processes on this machine, `local_rank`: a GPU of its own where there are GPUs. One that
/// sees a single GPU has that, as where SLURM gives each task one.
///
/// Errors: there are fewer GPUs than processes.
pub(crate) fn device_of(local_rank: usize, local_world: usize) -> Result<Device, String> {
    choose(tch::Cuda::device_count().max(0) as usize, local_rank, local_world)
}

fn choose(gpus: usize, local_rank: usize, local_world: usize) -> Result<Device, String> {
    match gpus {
        0 => Ok(Device::Cpu),
        1 => Ok(Device::Cuda(0)),
        _ if local_rank < gpus && local_world <= gpus => Ok(Device::Cuda(local_rank)),
        _ => Err(format!(
            "expected a GPU for each of the {local_world} processes on this machine, found {gpus} (start as many processes, or \
             set CUDA_VISIBLE_DEVICES=-1 to train on CPUs)"
        )),
    }
}

/// The folder that `libtorch_cpu.so` was loaded from.
fn beside_libtorch() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let library = PathBuf::from(line.get(line.find('/')?..)?);
    Some(library.parent()?.join("libtorch_cuda.so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_a_gpu_of_its_own() {
        assert_eq!(choose(0, 3, 4), Ok(Device::Cpu));
        assert_eq!(choose(4, 3, 4), Ok(Device::Cuda(3)));
        assert_eq!(choose(8, 1, 2), Ok(Device::Cuda(1)));
        assert_eq!(choose(1, 3, 4), Ok(Device::Cuda(0)));
        let error = choose(2, 0, 4).unwrap_err();
        assert!(error.starts_with("expected a GPU for each of the 4 processes"), "{error}");
    }
}
