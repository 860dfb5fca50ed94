//! How a group talks, and how it reduces. Knows nothing of groups.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

/// How values of several ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceOp {
    /// Their sum.
    Sum,
    /// Their sum over the number of ranks; for floating point alone.
    Mean,
    /// Their product.
    Product,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl ReduceOp {
    /// libtorch's number, for tensors of this device.
    pub(crate) fn code(self, device: Device) -> u8 {
        match self {
            ReduceOp::Mean if !self.is_divided_after(device) => 1,
            ReduceOp::Sum | ReduceOp::Mean => 0,
            ReduceOp::Product => 2,
            ReduceOp::Min => 3,
            ReduceOp::Max => 4,
        }
    }

    /// What is wrong with a tensor for it.
    pub(crate) fn refusal(self, tensor: &Tensor) -> Option<String> {
        use Kind::{Bool, Int, Int8, Int16, Int64, Uint8};
        let kind = tensor.kind();
        let is_whole = matches!(kind, Bool | Int | Int8 | Int16 | Int64 | Uint8);
        (self == ReduceOp::Mean && is_whole)
            .then(|| format!("expected a tensor of floating point for a mean, found {kind:?}"))
    }

    /// Gloo has no mean, so that is a sum which is divided at the end.
    pub(crate) fn is_divided_after(self, device: Device) -> bool {
        self == ReduceOp::Mean && device == Device::Cpu
    }
}

/// How a group talks.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// How long a collective waits for other ranks; more than ten years are ten years.
    pub timeout: Duration,
    /// The host name or address that this rank listens at; the machine's own name where there is neither.
    pub address: Option<String>,
    /// The network card that this rank listens at, or several with commas between, which take turns: as PyTorch's
    /// `GLOO_SOCKET_IFNAME`.
    pub interface: Option<String>,
    /// Whether ranks compare before each collective what they are about to do: which one it is, its number, the shapes, kinds and
    /// devices of its tensors. Ranks that differ get an error that names them; without it libtorch ends the process, waits
    /// until the timeout, or goes on with wrong numbers. It costs two more exchanges for each collective and a second
    /// connection between any two ranks, so it is for looking for a mistake; all ranks must have the same. PyTorch's
    /// `TORCH_DISTRIBUTED_DEBUG=DETAIL`, which PyTorch's ranks must have where they are in the group.
    ///
    /// Source: `torch/csrc/distributed/c10d/ProcessGroupWrapper.cpp`.
    pub checks: bool,
    /// Whether ranks of PyTorch are in the group. It then makes no collectives of its own, which they would not make with it, so
    /// that errors know no peer where there are more than two ranks. All ranks of this crate must have the same.
    pub with_pytorch: bool,
}

impl Default for GroupOptions {
    /// Half an hour, as in PyTorch.
    fn default() -> GroupOptions {
        GroupOptions {
            timeout: Duration::from_secs(30 * 60),
            address: None,
            interface: None,
            checks: false,
            with_pytorch: false,
        }
    }
}

impl GroupOptions {
    /// All ranks are on this machine.
    pub fn loopback() -> GroupOptions {
        GroupOptions { address: Some("127.0.0.1".to_owned()), ..GroupOptions::default() }
    }
}
