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
//! be in one group. Two processes, here two threads, add up their tensors:
//!
//! ```
//! use std::{thread, time::Duration};
//! use snaphook_c10d::{Group, GroupOptions, ReduceOp, Store};
//! use tch::Tensor;
//!
//! let server = Store::tcp_server("127.0.0.1", 0, Duration::from_secs(20))?;
//! let port = server.port()?;
//! let ranks = (0..2).map(|rank| {
//!     thread::spawn(move || -> Result<f64, snaphook_c10d::Error> {
//!         let store = Store::tcp("127.0.0.1", port, Duration::from_secs(20))?;
//!         let group = Group::gloo(&store, rank, 2, &GroupOptions::loopback())?;
//!         let mut tensor = Tensor::from(10.0 + rank as f64);
//!         group.all_reduce(&mut tensor, ReduceOp::Sum)?;
//!         Ok(tensor.double_value(&[]))
//!     })
//! });
//! for rank in ranks.collect::<Vec<_>>() {
//!     assert_eq!(rank.join().expect("no panic")?, 21.0);
//! }
//! # drop(server);
//! # Ok::<(), snaphook_c10d::Error>(())
//! ```
//!
//! A whole training program is in `examples/data_parallel.rs`.
//!
//! Every rank must make the same calls in the same order: collectives are matched by their number. That is why a
//! [`Group`] stays in its thread.

mod bytes;
mod default_group;
mod error;
mod ffi;
mod group;
mod reducer;
mod store;
mod sync_batch_norm;
mod work;

pub use default_group::{default_group, mean_over_ranks, normalize_over_ranks, set_default_group};
pub use error::{Error, Failure};
pub use group::{Group, GroupOptions, ReduceOp};
pub use reducer::{Reducer, ReducerOptions, backward};
pub use store::Store;
pub use sync_batch_norm::{NormParameters, sync_batch_norm};
pub use work::Work;
