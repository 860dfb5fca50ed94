//! The update rules, with PyTorch's arithmetic, on one long tensor or on a part of it.
//! Knows nothing of groups, names or configuration files.
//!
//! Source: PyTorch 2.11 `torch/optim/*.py`, the single-tensor functions, and lion-pytorch 0.2.5; the same operations in the
//! same order.

mod adam;
mod adaptive;
mod plain;
mod slice;

pub(super) use slice::{Scratch, Slice};

use snaphook_optimizers::{Hyper, UpdateRule};
use tch::Kind;

/// The running tensors that a rule keeps for each parameter of these groups, by PyTorch's names.
pub(super) fn slot_names<'a>(groups: impl Iterator<Item = &'a Hyper>) -> Vec<&'static str> {
    let groups: Vec<&Hyper> = groups.collect();
    let has_momentum = groups.iter().any(|hyper| hyper.momentum != 0.0);
    let any = |is_so: fn(&UpdateRule) -> bool| groups.iter().any(|hyper| is_so(&hyper.rule));
    let Some(first) = groups.first() else { return Vec::new() };
    let (names, optional): (&[&str], Option<&str>) = match first.rule {
        UpdateRule::Sgd { .. } => (&[], has_momentum.then_some("momentum_buffer")),
        UpdateRule::Adam { .. } => {
            let amsgrad = any(|rule| matches!(rule, UpdateRule::Adam { amsgrad: true, .. }));
            (&["exp_avg", "exp_avg_sq"], amsgrad.then_some("max_exp_avg_sq"))
        }
        UpdateRule::NAdam { .. } | UpdateRule::RAdam { .. } => (&["exp_avg", "exp_avg_sq"], None),
        UpdateRule::Adadelta { .. } => (&["square_avg", "acc_delta"], None),
        UpdateRule::Adagrad { .. } => (&["sum"], None),
        UpdateRule::Adamax { .. } => (&["exp_avg", "exp_inf"], None),
        UpdateRule::Asgd { .. } => (&["ax"], None),
        UpdateRule::Rprop { .. } => (&["prev", "step_size"], None),
        UpdateRule::Lion { .. } => (&["exp_avg"], None),
        UpdateRule::RmsProp { .. } => {
            let is_centered =
                any(|rule| matches!(rule, UpdateRule::RmsProp { is_centered: true, .. }));
            let mut names = vec!["square_avg"];
            names.extend(has_momentum.then_some("momentum_buffer"));
            names.extend(is_centered.then_some("grad_avg"));
            return names;
        }
    };
    names.iter().copied().chain(optional).collect()
}

/// The numbers that a rule keeps for each parameter beside its count of updates, before the first one.
pub(super) fn first_numbers(hyper: &Hyper) -> Vec<f64> {
    match hyper.rule {
        // The product of all momenta.
        UpdateRule::NAdam { .. } => vec![1.0],
        // The next update's learning rate, and its share in the average.
        UpdateRule::Asgd { .. } => vec![f64::from(hyper.learning_rate as f32), 1.0],
        _ => Vec::new(),
    }
}

/// Updates the parameters from the gradients, and the rule's numbers; call it where gradients are not recorded.
pub(super) fn update(slice: Slice<'_>, hyper: &Hyper, numbers: &mut [f64]) {
    match hyper.rule {
        UpdateRule::Sgd { dampening, nesterov } => plain::sgd(slice, hyper, (dampening, nesterov)),
        UpdateRule::Asgd { .. } => plain::asgd(slice, hyper, numbers),
        UpdateRule::Rprop { .. } => plain::rprop(slice, hyper),
        UpdateRule::Lion { beta2, decay_divisor } => {
            plain::lion(slice, hyper, (beta2, decay_divisor));
        }
        UpdateRule::Adam { beta2, eps, is_decoupled, .. } => {
            adam::adam(slice, hyper, (beta2, eps, is_decoupled));
        }
        UpdateRule::Adamax { beta2, eps } => adam::adamax(slice, hyper, (beta2, eps)),
        UpdateRule::NAdam { .. } => adam::nadam(slice, hyper, numbers),
        UpdateRule::RAdam { .. } => adam::radam(slice, hyper),
        UpdateRule::Adadelta { rho, eps } => adaptive::adadelta(slice, hyper, (rho, eps)),
        UpdateRule::Adagrad { .. } => adaptive::adagrad(slice, hyper),
        UpdateRule::RmsProp { .. } => adaptive::rms_prop(slice, hyper),
    }
}

/// Whether an optimizer can train tensors of this kind.
pub(super) fn is_trainable(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}
