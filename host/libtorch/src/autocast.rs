//! Half precision in the forward pass: libtorch's autocast, on the CPU and on GPUs.
//! Knows nothing of models, losses or optimizers.
//!
//! The bindings switch CUDA alone, and float16 alone, so that libtorch's own functions are called here. Their arguments are
//! one-byte enums and truth values, which C++ passes as C does.

use tch::{Device, Kind};

/// libtorch's `c10::DeviceType`.
type DeviceType = i8;
/// libtorch's `c10::ScalarType`.
type ScalarType = i8;

unsafe extern "C" {
    #[link_name = "_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb"]
    fn set_autocast_enabled(device: DeviceType, is_enabled: bool);
    #[link_name = "_ZN2at8autocast19is_autocast_enabledEN3c1010DeviceTypeE"]
    fn is_autocast_enabled(device: DeviceType) -> bool;
    #[link_name = "_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE"]
    fn set_autocast_dtype(device: DeviceType, dtype: ScalarType);
    #[link_name = "_ZN2at8autocast18get_autocast_dtypeEN3c1010DeviceTypeE"]
    fn get_autocast_dtype(device: DeviceType) -> ScalarType;
}

/// In which precision operations compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autocast {
    /// Device and half precision; `None` leaves everything as it is.
    half: Option<(Device, Kind)>,
}

impl Autocast {
    /// That of their tensors.
    pub const OFF: Autocast = Autocast { half: None };

    /// Half precision where it does no harm, on this device: bfloat16 where that is asked for, or the device is the CPU
    /// and nothing is; else float16. `None` for float16 on the CPU, which has no kernels for it.
    pub fn on(device: Device, is_bfloat16: Option<bool>) -> Option<Autocast> {
        let is_cpu = !device.is_cuda();
        let kind = match is_bfloat16.unwrap_or(is_cpu) {
            true => Kind::BFloat16,
            false if is_cpu => return None,
            false => Kind::Half,
        };
        Some(Autocast { half: Some((device, kind)) })
    }

    /// The half precision, if there is one.
    pub fn kind(&self) -> Option<Kind> {
        self.half.map(|(_, kind)| kind)
    }

    /// Carries out `act` in this precision.
    pub fn run<T>(self, act: impl FnOnce() -> T) -> T {
        let _guard = self.half.map(|(device, kind)| Guard::enter(device, kind));
        act()
    }
}

/// Autocast of this thread is on as long as this is there.
struct Guard {
    device: DeviceType,
    before: (bool, ScalarType),
}

impl Guard {
    fn enter(device: Device, kind: Kind) -> Guard {
        let device: DeviceType = if device.is_cuda() { 1 } else { 0 };
        let dtype: ScalarType = if kind == Kind::BFloat16 { 15 } else { 5 };
        // SAFETY: the symbols are libtorch 2.11's, whose version the build checks; the device and the kind are among those
        // that its autocast knows, so that nothing is thrown; all state is this thread's.
        let before = unsafe {
            let before = (is_autocast_enabled(device), get_autocast_dtype(device));
            torch_sys::at_autocast_increment_nesting();
            set_autocast_dtype(device, dtype);
            set_autocast_enabled(device, true);
            before
        };
        Guard { device, before }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (is_enabled, dtype) = self.before;
        // SAFETY: as above; the values are those that libtorch gave.
        unsafe {
            set_autocast_enabled(self.device, is_enabled);
            set_autocast_dtype(self.device, dtype);
            if torch_sys::at_autocast_decrement_nesting() == 0 {
                // Weights in half precision would go stale with the next update.
                torch_sys::at_autocast_clear_cache();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    fn product_kind(autocast: Autocast) -> Kind {
        let matrix = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        autocast.run(|| matrix.matmul(&matrix)).kind()
    }

    #[test]
    fn products_are_in_half_precision_inside_and_in_full_precision_after() {
        let half = Autocast::on(Device::Cpu, None).unwrap();
        assert_eq!(half.kind(), Some(Kind::BFloat16));
        assert_eq!(product_kind(half), Kind::BFloat16);
        assert_eq!(product_kind(Autocast::OFF), Kind::Float);
        assert!(Autocast::on(Device::Cpu, Some(false)).is_none());
    }

    #[test]
    fn a_panic_inside_leaves_full_precision_behind() {
        let half = Autocast::on(Device::Cpu, Some(true)).unwrap();
        let caught = std::panic::catch_unwind(|| half.run(|| panic!("inside")));
        assert!(caught.is_err());
        assert_eq!(product_kind(Autocast::OFF), Kind::Float);
    }
}
