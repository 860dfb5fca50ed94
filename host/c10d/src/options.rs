//! How a group talks, and how it reduces. Knows nothing of groups.

use std::time::Duration;

use tch::Device;

/// How values of several ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceOp {
    /// Their sum.
    Sum,
    /// Their sum over the number of ranks; for floating point.
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

    /// Gloo has no mean, so that is a sum which is divided at the end.
    pub(crate) fn is_divided_after(self, device: Device) -> bool {
        self == ReduceOp::Mean && device == Device::Cpu
    }
}

/// How a group talks.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// How long a collective waits for other ranks.
    pub timeout: Duration,
    /// The host name or address that this rank listens at; the machine's own name where there is neither.
    pub address: Option<String>,
    /// The network card that this rank listens at, or several with commas between, which take turns: as PyTorch's
    /// `GLOO_SOCKET_IFNAME`.
    pub interface: Option<String>,
}

impl Default for GroupOptions {
    /// Half an hour, as in PyTorch.
    fn default() -> GroupOptions {
        GroupOptions { timeout: Duration::from_secs(30 * 60), address: None, interface: None }
    }
}

impl GroupOptions {
    /// All ranks are on this machine.
    pub fn loopback() -> GroupOptions {
        GroupOptions { address: Some("127.0.0.1".to_owned()), ..GroupOptions::default() }
    }
}
