//! NCCL, as far as this machine lets it be tried: a libtorch without a part for GPUs, with a wrong one, without a GPU, with one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use snaphook_c10d::{Failure, Group, ReduceOp, Reducer, ReducerOptions};
use tch::{Device, Kind, Tensor};

use crate::processes::{TIMEOUT, on_ranks, on_ranks_with};

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
    let mut tensor = on_gpu(0, &(0..1000).map(|at| at as f32).collect::<Vec<_>>());
    group.all_reduce(&mut tensor, ReduceOp::Mean).unwrap();
    assert_eq!(values(&tensor)[999], 999.0);
    group.broadcast_all(&[tensor.shallow_clone(), Tensor::from(1.0)], 0).unwrap();
    assert_eq!(values(&group.all_gather(&tensor).unwrap()[0])[7], 7.0);
}

fn on_gpu(gpu: usize, values: &[f32]) -> Tensor {
    Tensor::from_slice(values).to_device(Device::Cuda(gpu))
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_device(Device::Cpu)).unwrap()
}

/// Runs `act` on two ranks with a GPU each, where there are two.
fn on_two_gpus(act: impl FnOnce(&Group)) {
    on_ranks(2, |group| {
        let own = group.add_nccl(group.rank());
        let mut are_there = Tensor::from(f32::from(own.is_ok()));
        group.all_reduce(&mut are_there, ReduceOp::Min).unwrap();
        if are_there.double_value(&[]) == 1.0 {
            return act(group);
        }
        let words = own.err().map_or("rank 1 has none".to_owned(), |error| error.to_string());
        let not_run = format!("not run: collectives of two GPUs: {words}\n");
        std::io::stderr().write_all(not_run.as_bytes()).unwrap();
    });
}

/// Both GPUs have reduced something: reading it waits for them.
fn meet(group: &Group) {
    let mut tensor = on_gpu(group.rank(), &[1.0]);
    group.all_reduce(&mut tensor, ReduceOp::Sum).unwrap();
    assert_eq!(values(&tensor), [2.0]);
}

/// From now on ranks wait so long for each other; both begin together.
fn be_impatient(group: &Group) -> Duration {
    let timeout = Duration::from_secs(2);
    group.set_timeout(timeout).unwrap();
    group.barrier().unwrap();
    timeout
}

#[test]
fn collectives_of_two_gpus_give_the_answers_of_cpus() {
    on_two_gpus(|group| {
        let rank = group.rank();
        let own = rank as f32;
        let ops = [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Product, ReduceOp::Min, ReduceOp::Max];
        let answers = ops.map(|op| {
            let mut tensor = on_gpu(rank, &[own + 1.0, -own]);
            group.all_reduce(&mut tensor, op).unwrap();
            values(&tensor)
        });
        assert_eq!(answers, [[3.0, -1.0], [1.5, -0.5], [2.0, 0.0], [1.0, -1.0], [2.0, 0.0]]);

        let mut tensor = on_gpu(rank, &[own, 7.0]);
        let broadcast = group.start_broadcast(&tensor, 1).unwrap();
        broadcast.wait().unwrap();
        assert_eq!(values(&tensor), [1.0, 7.0]);
        group.broadcast(&mut tensor, 0).unwrap();
        let all = group.all_gather(&on_gpu(rank, &[own])).unwrap();
        assert_eq!(all.iter().map(values).collect::<Vec<_>>(), [[0.0], [1.0]]);
        let parts = [on_gpu(rank, &[own]), on_gpu(rank, &[own + 10.0])];
        let mean = group.reduce_scatter(&parts, ReduceOp::Mean).unwrap();
        assert_eq!(values(&mean), [0.5 + 10.0 * own]);

        // Larger than what any transport moves at once.
        let mut large = on_gpu(rank, &vec![own + 1.0; 3 << 20]);
        group.all_reduce(&mut large, ReduceOp::Sum).unwrap();
        assert!(values(&large).iter().all(|value| *value == 3.0));
        assert_works_on_cpu(group);
        group.barrier().unwrap();
    });
}

#[test]
fn gradients_of_two_gpus_are_means() {
    on_two_gpus(|group| {
        let rank = group.rank();
        if values(&(on_gpu(rank, &[1.0]) + 1.0)) != [2.0] {
            let not_run =
                b"not run: gradients of two GPUs: what stands in for CUDA computes nothing\n";
            std::io::stderr().write_all(not_run).unwrap();
            return;
        }
        let parameters: Vec<_> = (0..3)
            .map(|at| (format!("p{at}"), on_gpu(rank, &[1.0; 8]).set_requires_grad(true)))
            .collect();
        let reducer = Reducer::new(group, &parameters, ReducerOptions::default()).unwrap();
        for round in 1..=3 {
            reducer.prepare_forward().unwrap();
            let sums = parameters.iter().map(|(_, parameter)| parameter.sum(Kind::Float));
            let loss = sums.reduce(|sum, term| sum + term).unwrap() * (rank + 1) as f64;
            reducer.prepare_backward(&[&loss]).unwrap();
            reducer.backward(&loss).unwrap();
            for (_, parameter) in &parameters {
                assert_eq!(values(&parameter.grad()), [1.5 * round as f32; 8]);
            }
        }
    });
}

#[test]
fn a_group_of_gpus_closes_while_a_collective_waits_for_a_rank_that_is_gone() {
    on_two_gpus(|group| {
        let rank = group.rank();
        meet(group);
        group.barrier().unwrap();
        if rank == 1 {
            return group.close();
        }
        let pending = group.start_all_reduce(&on_gpu(rank, &[1.0]), ReduceOp::Sum).unwrap();
        assert!(!pending.is_completed());
        let error = group.barrier().unwrap_err();
        assert_eq!(error.peers(), [1], "{error}");
        let began = Instant::now();
        group.close();
        assert!(began.elapsed() < TIMEOUT / 2);
    });
}

#[test]
fn a_rank_that_stands_still_is_told_before_nccl_ends_the_process() {
    on_two_gpus(|group| {
        let rank = group.rank();
        meet(group);
        let timeout = be_impatient(group);
        if rank == 1 {
            // Stays until the other one has given up: its store would tell of an end.
            std::thread::sleep(timeout * 2);
            return group.close();
        }
        let pending = group.start_all_reduce(&on_gpu(rank, &[1.0]), ReduceOp::Sum).unwrap();
        // NCCL's clock began before Gloo's.
        std::thread::sleep(timeout / 4);
        let error = group.barrier().unwrap_err();
        assert_eq!(error.failure(), Failure::Timeout, "{error}");
        assert!(!pending.is_completed());
        group.close();
    });
}

#[test]
fn what_waits_for_a_gpu_whose_rank_stands_still_is_let_go() {
    on_two_gpus(|group| {
        let rank = group.rank();
        meet(group);
        let timeout = be_impatient(group);
        if rank == 1 {
            std::thread::sleep(timeout * 4);
            return group.close();
        }
        let mut tensor = on_gpu(rank, &[1.0]);
        let began = Instant::now();
        // The CPU goes on at once.
        group.all_reduce(&mut tensor, ReduceOp::Sum).unwrap();
        group.check().unwrap();
        assert!(began.elapsed() < timeout / 2);
        let _of_no_use = values(&tensor);
        assert!((timeout..timeout * 4).contains(&began.elapsed()), "{:?}", began.elapsed());
        let error = group.check().unwrap_err();
        assert_eq!(error.failure(), Failure::Timeout, "{error}");
        assert!(group.is_broken());
        group.close();
    });
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
    let mut folders = vec![other_cuda_part(folder.path())];
    let set = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&set));
    let folders = std::env::join_paths(folders).unwrap();
    let variables = [("LD_LIBRARY_PATH", PathBuf::from(folders))];
    on_ranks_with(&variables, 1, |group| {
        let error = group.add_nccl(0).unwrap_err().to_string();
        let words =
            "libtorch_cuda.so: expected NCCL's process group of libtorch 2.11, found one without";
        assert!(error.contains(words), "{error}");
        assert_works_on_cpu(group);
    });
}
