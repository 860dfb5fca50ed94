//! NCCL, as far as this machine lets it be tried: a libtorch without a part for GPUs, with a wrong one, without a GPU, with one.

use std::io::Write;
use std::path::{Path, PathBuf};

use snaphook_c10d::{Failure, Group, ReduceOp};
use tch::{Device, Kind, Tensor};

use crate::processes::{on_ranks, on_ranks_with};

/// What keeps working when NCCL cannot be added.
fn assert_works_on_cpu(group: &Group) {
    let mut tensor = Tensor::from(1.0);
    group.all_reduce(&mut tensor, ReduceOp::Sum).unwrap();
    assert_eq!(tensor.double_value(&[]), group.size() as f64);
}

#[test]
fn nccl_is_used_where_it_is_and_refused_with_its_reason_where_it_is_not() {
    on_ranks(1, |group| {
        match group.add_nccl(0) {
            Ok(()) => reduce_on_a_gpu(group),
            Err(error) => {
                let words = error.to_string();
                assert_eq!(error.failure(), Failure::Other, "{words}");
                // What libtorch itself says on a machine without a GPU.
                let is_expected = words
                    .contains("libtorch_cuda.so: expected libtorch's part for GPUs")
                    || words.contains("no GPUs found");
                assert!(is_expected && words.starts_with("rank 0 of 1, adding NCCL: "), "{words}");
                let not_run = format!("not run: collectives of GPUs: {words}\n");
                std::io::stderr().write_all(not_run.as_bytes()).unwrap();
            }
        }
        assert_works_on_cpu(group);
    });
}

fn reduce_on_a_gpu(group: &Group) {
    let mut tensor = Tensor::arange(1000, (Kind::Float, Device::Cuda(0)));
    group.all_reduce(&mut tensor, ReduceOp::Mean).unwrap();
    assert_eq!(tensor.double_value(&[999]), 999.0);
    group.broadcast_all(&[tensor.shallow_clone(), Tensor::from(1.0)], 0).unwrap();
    assert_eq!(group.all_gather(&tensor).unwrap()[0].double_value(&[7]), 7.0);
}

/// A folder with libtorch's libraries but another part for GPUs.
fn other_cuda_part(folder: &Path) -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so")).unwrap();
    let own = Path::new(&line[line.find('/').unwrap()..]).parent().unwrap().to_owned();
    let is_library = |path: &PathBuf| path.to_string_lossy().contains(".so");
    let entries = std::fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path());
    for library in entries.filter(is_library) {
        let name = library.file_name().unwrap();
        if name != "libtorch_cuda.so" {
            std::os::unix::fs::symlink(&library, folder.join(name)).unwrap();
        }
    }
    // A sound library that has nothing of what is looked for.
    std::fs::copy(own.join("libtorch.so"), folder.join("libtorch_cuda.so")).unwrap();
    folder.to_owned()
}

#[test]
fn a_part_for_gpus_without_nccl_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("LD_LIBRARY_PATH", other_cuda_part(folder.path()))];
    on_ranks_with(&variables, 1, |group| {
        let error = group.add_nccl(0).unwrap_err().to_string();
        let words =
            "libtorch_cuda.so: expected NCCL's process group of libtorch 2.11, found one without";
        assert!(error.contains(words), "{error}");
        assert_works_on_cpu(group);
    });
}
