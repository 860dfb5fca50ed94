//! libtorch's distributed engine for Rust: stores, process groups, collectives on [`tch::Tensor`], and the gradient
//! reducer under PyTorch's `DistributedDataParallel`. Knows nothing of models, hooks or configs.
//!
//! ```text
//!   Store (TCP, file)      where processes find each other
//!     └─► Group (Gloo)     all-reduce, broadcast, gather, … ; Work is one that goes on
//!           ├─► Reducer        gradients in buckets, exchanged while the backward pass goes on
//!           └─► sync_batch_norm
//! ```
//!
//! The engine is libtorch's own (`torch/csrc/distributed/c10d`), so a process of this crate and one of PyTorch 2.11 can
//! be in one group. Each process of a job runs the same program, and adds its tensor to those of the others; started by
//! itself, it is a group of one:
//!
//! ```
//! use std::{env, time::Duration};
//! use snaphook_c10d::{Group, GroupOptions, ReduceOp, Store};
//! use tch::Tensor;
//!
//! // What launchers set.
//! let number = |name, other| env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(other);
//! let (rank, world, port) = (number("RANK", 0), number("WORLD_SIZE", 1), number("MASTER_PORT", 0));
//! let patience = Duration::from_secs(20);
//! let store = match rank {
//!     0 => Store::tcp_server("127.0.0.1", port as u16, patience)?,
//!     _ => Store::tcp("127.0.0.1", port as u16, patience)?,
//! };
//! let group = Group::gloo(&store, rank, world, &GroupOptions::loopback())?;
//! let mut tensor = Tensor::from(10.0 + rank as f64);
//! group.all_reduce(&mut tensor, ReduceOp::Sum)?;
//! let expected: usize = (0..world).map(|rank| 10 + rank).sum();
//! assert_eq!(tensor.double_value(&[]), expected as f64);
//! // The store lives in rank 0.
//! group.barrier()?;
//! # Ok::<(), snaphook_c10d::Error>(())
//! ```
//!
//! A whole training program is in `examples/data_parallel.rs`.
//!
//! Every rank must make the same calls in the same order, with tensors of the same shapes and kinds: collectives are matched by
//! their number, and libtorch compares nothing unless it is asked to ([`GroupOptions::checks`]). That is why a
//! [`Group`] stays in its thread, and why ranks are processes: libtorch 2.11 has races between groups of one process.
//!
//! # With PyTorch
//!
//! [`Store::pytorch`] and [`GroupOptions::with_pytorch`] join ranks of PyTorch 2.11 that call `init_process_group("gloo")`, whoever is
//! rank 0; [`ReducerOptions::compares`] must be off where they use `DistributedDataParallel`. The tests of it need a Python with
//! torch 2.11, and say "not run" without one:
//!
//! ```sh
//! python3 -m venv peer && peer/bin/pip install torch==2.11.0
//! SNAPHOOK_TORCH_PYTHON=$PWD/peer/bin/python cargo test -p snaphook-c10d --test suite python
//! ```
//!
//! # Finding libtorch
//!
//! Programs of this crate find the libtorch that they were linked to. Cargo does not hand that on to crates that depend on it, whose
//! programs end with `libtorch_cpu.so: cannot open shared object file` then. Either their own `build.rs` has
//!
//! ```no_run
//! // With torch-sys among the dependencies, as tch itself asks for: it is what tells the folder.
//! let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is");
//! println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
//! ```
//!
//! or they are started with `LD_LIBRARY_PATH=$LIBTORCH/lib`.

mod addresses;
mod bytes;
mod default_group;
mod error;
mod ffi;
mod group;
mod options;
mod parameters;
mod parts;
mod reducer;
mod roll_call;
mod store;
mod sync_batch_norm;
mod work;

pub use default_group::{default_group, mean_over_ranks, normalize_over_ranks, set_default_group};
pub use error::{Error, Failure};
pub use group::Group;
pub use options::{GroupOptions, ReduceOp};
pub use reducer::{Reducer, ReducerOptions, backward};
pub use roll_call::{Arrivals, arrived_ranks, await_ranks};
pub use store::Store;
pub use sync_batch_norm::{NormParameters, sync_batch_norm};
pub use work::Work;
