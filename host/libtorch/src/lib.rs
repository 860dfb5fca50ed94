//! What libtorch can do and tch does not bind: half precision, which operators are carried out and how long each takes, the
//! memory of a GPU, operators with gradients of their own, and the buffers of modules of TorchScript. Knows nothing of runs, hooks
//! or files.
//!
//! libtorch calls a callback at the start and the end of each operator (`at::RecordFunction`, the source of PyTorch's own
//! profiler); a few lines of C++ write down both. While nobody listens, an operator costs what it always does. On a GPU
//! the times are those until the work was handed over.

mod autocast;
mod determinism;
mod listen;
mod memory;
mod norm_swish;
mod script;
mod totals;

pub use autocast::Autocast;
pub use determinism::set_deterministic;
pub use listen::{Listener, Operator, Operators};
pub use memory::{GpuMemory, empty_cache, gpu_memory};
pub use norm_swish::{BatchNormParts, norm_swish};
pub use script::script_with_buffers;
pub use totals::{Total, totals};
