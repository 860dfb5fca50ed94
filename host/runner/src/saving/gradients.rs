//! Gradients that were gathered over some iterations and not used yet (`accumulative_counts`), so that a run resumed
//! between two steps of the optimizer goes on with them. MMEngine loses them, with a warning.

use tch::{Device, Kind, Tensor};

use crate::RunError;
use crate::checkpoint::CheckpointError;
use crate::machine::{Machine, SaveRequest};

/// What a checkpoint keeps of gradients: with several ranks, the mean of what each has gathered, which comes to the same
/// at the next step. Every rank must save at the same moment, unless this one has left the others. In an
/// emergency they are those of rank 0: it may be its disk that failed, and nobody waits.
///
/// Errors: a rank that is gone or does not come.
pub(super) fn gather(
    machine: &Machine,
    request: &SaveRequest,
) -> Result<Vec<(String, Tensor)>, RunError> {
    let gradients = pending(machine, request.iter.unwrap_or(machine.progress.iter));
    if !machine.ranks.is_parted() && !request.is_emergency {
        machine.ranks.average(gradients.iter().map(|(_, gradient)| gradient))?;
    }
    Ok(gradients)
}

/// Copies of the gradients after `finished` iterations, by parameter; empty where the optimizer has just used them.
fn pending(machine: &Machine, finished: u64) -> Vec<(String, Tensor)> {
    let Some(optim) = &machine.optim else { return Vec::new() };
    if finished == 0 || optim.is_due(finished - 1, machine.progress.max_iters) {
        return Vec::new();
    }
    let gradient = |entry: &crate::Entry| {
        let gradient = entry.tensor.grad();
        let copy = |kind| gradient.to_device_(Device::Cpu, kind, false, true);
        gradient.defined().then(|| (entry.name.clone(), copy(gradient.kind())))
    };
    machine.task.model.state().parameters().filter_map(gradient).collect()
}

/// Gives the parameters the gradients of a checkpoint.
///
/// Errors: a gradient without a parameter, or of another shape.
pub(super) fn restore(
    machine: &Machine,
    saved: &[(String, Tensor)],
    path: &std::path::Path,
) -> Result<(), RunError> {
    let state = machine.task.model.state();
    for (name, gradient) in saved {
        let parameter = state.get(name).filter(|parameter| parameter.size() == gradient.size());
        let parameter = parameter.ok_or_else(|| CheckpointError::OtherModel {
            path: path.to_owned(),
            problems: vec![format!(
                "gradient {name}: expected a parameter of its shape, found none"
            )],
        })?;
        // A sum whose derivative by the parameter is the saved gradient: libtorch has no other way in.
        let gradient = gradient.to_device(parameter.device());
        (parameter * gradient).sum(Kind::Float).backward();
    }
    Ok(())
}
