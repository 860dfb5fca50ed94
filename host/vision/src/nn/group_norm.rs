//! Group normalisation. Knows nothing of what comes before or after it.

use serde_json::Value as Json;
use snaphook_components::{ComponentError, Problem, ProblemKind, read, vision};
use snaphook_runner::{Layer, Scope};
use tch::Tensor;

/// The numbers of a `norm_cfg` of type GN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupNormSettings {
    groups: i64,
    eps: f64,
    requires_grad: bool,
}

impl GroupNormSettings {
    /// So many groups.
    pub(crate) fn with_groups(groups: i64) -> GroupNormSettings {
        GroupNormSettings { groups, eps: 1e-5, requires_grad: true }
    }

    pub(crate) fn read(value: &Json, path: &str) -> Result<GroupNormSettings, ComponentError> {
        let vision::GroupNorm { num_groups, eps, requires_grad } = read(value, path)?;
        Ok(GroupNormSettings { groups: num_groups, eps, requires_grad })
    }

    /// Errors: channels that cannot be shared out among the groups; `path` is that of the `norm_cfg`.
    pub(crate) fn check(&self, channels: i64, path: &str) -> Result<(), ComponentError> {
        if channels % self.groups == 0 {
            return Ok(());
        }
        let groups = self.groups;
        let message = format!("expected a divisor of {channels} channels, found {groups}");
        Err(Problem::new(format!("{path}.num_groups"), ProblemKind::Value, message).into())
    }
}

/// Normalises groups of channels over height and width, each picture by itself.
#[derive(Debug)]
pub(crate) struct GroupNorm {
    settings: GroupNormSettings,
    weight: Tensor,
    bias: Tensor,
}

impl GroupNorm {
    pub(crate) fn new(scope: &Scope, channels: i64, settings: GroupNormSettings) -> GroupNorm {
        let parameter = |name| {
            let tensor = scope.parameter(name, &[channels], Layer::Norm);
            tensor.set_requires_grad(settings.requires_grad)
        };
        GroupNorm { settings, weight: parameter("weight"), bias: parameter("bias") }
    }

    /// Shapes: `x` and the result [N, C, H, W].
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let GroupNormSettings { groups, eps, .. } = self.settings;
        x.group_norm(groups, Some(&self.weight), Some(&self.bias), eps, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn each_group_of_each_picture_has_no_mean_and_a_deviation_of_one() {
        let scope = Scope::root(Device::Cpu);
        let norm = GroupNorm::new(&scope, 4, GroupNormSettings::with_groups(2));
        let _ = tch::no_grad(|| norm.weight.shallow_clone().fill_(1.0));
        let x = Tensor::rand([2, 4, 3, 5], (Kind::Float, Device::Cpu)) * 7.0 + 3.0;
        let groups = norm.forward(&x).detach().view([4, -1]);
        let means = groups.mean_dim([1_i64].as_slice(), false, Kind::Float);
        assert!(means.abs().max().double_value(&[]) < 1e-5);
        let deviations = groups.std_dim([1_i64].as_slice(), false, false);
        assert!((deviations - 1.0).abs().max().double_value(&[]) < 1e-4);
    }
}
