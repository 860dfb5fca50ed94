//! Gradients that were gathered over some iterations and not used yet (`accumulative_counts`), so that a run resumed
//! between two steps of the optimizer goes on with them. MMEngine loses them, with a warning.
//!
//! Ranks have gathered other ones, which become means at the step alone. A checkpoint has those of all of them, so that as many
//! ranks go on with the same bits: rank 0's under the names of their parameters, rank 1's as `rank1/NAME`.

use snaphook_c10d::Group;
use tch::{Device, Kind, Tensor, no_grad};

use crate::RunError;
use crate::checkpoint::CheckpointError;
use crate::machine::{Machine, SaveRequest};

/// What a checkpoint keeps of gradients, on rank 0; nothing where the optimizer has just used them. Every rank must save at the
/// same moment, unless this one has left the others. In an emergency they are those of rank 0 alone: it may be its disk
/// that failed, and nobody waits.
///
/// Errors: a rank that is gone or does not come.
pub(super) fn gather(
    machine: &Machine,
    request: &SaveRequest,
) -> Result<Vec<(String, Tensor)>, RunError> {
    let own = pending(machine, request.iter.unwrap_or(machine.progress.iter));
    let is_alone = machine.ranks.is_parted() || request.is_emergency;
    match machine.ranks.group().filter(|_| !is_alone && !own.is_empty()) {
        Some(group) => of_all(group, &own),
        None => Ok(own.into_iter().filter_map(|own| Some((own.name, own.gradient?))).collect()),
    }
}

/// A parameter with what was gathered for it; one that has taken no part yet has no gradient.
struct Pending {
    name: String,
    shape: Tensor,
    gradient: Option<Tensor>,
}

/// Copies of the gradients after `finished` iterations, of all parameters; empty where the optimizer has just used them.
fn pending(machine: &Machine, finished: u64) -> Vec<Pending> {
    let Some(optim) = &machine.optim else { return Vec::new() };
    if finished == 0 || optim.is_due(finished - 1, machine.progress.max_iters) {
        return Vec::new();
    }
    let own = |entry: &crate::Entry| {
        let gradient = entry.tensor.grad();
        let copy = |kind| gradient.to_device_(Device::Cpu, kind, false, true);
        Pending {
            name: entry.name.clone(),
            shape: entry.tensor.detach(),
            gradient: gradient.defined().then(|| copy(gradient.kind())),
        }
    };
    machine.task.model.state().parameters().map(own).collect()
}

/// The gradients of all ranks, on rank 0.
fn of_all(group: &Group, own: &[Pending]) -> Result<Vec<(String, Tensor)>, RunError> {
    let has: Vec<u8> = own.iter().map(|own| u8::from(own.gradient.is_some())).collect();
    let all_have = group.all_gather_bytes(&has)?;
    let mut all = Vec::new();
    for (at, own) in own.iter().enumerate() {
        if all_have.iter().all(|has| has[at] == 0) {
            continue;
        }
        let nothing = || no_grad(|| own.shape.zeros_like().to_device(Device::Cpu));
        let gradient = own.gradient.as_ref().map_or_else(nothing, Tensor::shallow_clone);
        let gathered = group.gather(&gradient.contiguous(), 0)?;
        for (rank, gradient) in gathered.into_iter().flatten().enumerate() {
            if all_have[rank][at] == 1 {
                all.push((name_of(rank, &own.name), gradient));
            }
        }
    }
    Ok(all)
}

fn name_of(rank: usize, parameter: &str) -> String {
    if rank == 0 { parameter.to_owned() } else { format!("rank{rank}/{parameter}") }
}

/// Gives the parameters the gradients of a checkpoint that `world` ranks have saved: with as many ranks each its own, else
/// their mean, which comes to the same at the next step.
///
/// Errors: a gradient without a parameter, or of another shape.
pub(super) fn restore(
    machine: &Machine,
    saved: &[(String, Tensor)],
    world: u64,
    path: &std::path::Path,
) -> Result<(), RunError> {
    let state = machine.task.model.state();
    for (name, gradient) in part_of(saved, machine.ranks.rank(), machine.ranks.world(), world) {
        let parameter = state.get(&name).filter(|parameter| parameter.size() == gradient.size());
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

/// What one of `world` ranks goes on with, of what `saved_world` ranks had.
fn part_of(
    saved: &[(String, Tensor)],
    rank: usize,
    world: usize,
    saved_world: u64,
) -> Vec<(String, Tensor)> {
    let entries = saved.iter().map(|(name, gradient)| match name.split_once('/') {
        Some((owner, name)) => (owner, name, gradient),
        None => ("rank0", name.as_str(), gradient),
    });
    let entries: Vec<_> = entries.collect();
    let own = format!("rank{rank}");
    let are_all_there = entries.iter().any(|(owner, ..)| *owner != "rank0");
    if are_all_there && saved_world == world as u64 {
        let own = entries.into_iter().filter(|(owner, ..)| *owner == own);
        return own
            .map(|(_, name, gradient)| (name.to_owned(), gradient.shallow_clone()))
            .collect();
    }
    // Those of one process, or of a rank that saved alone.
    let share = if are_all_there { saved_world as f64 } else { 1.0 };
    let mut means: Vec<(String, Tensor)> = Vec::new();
    for (_, name, gradient) in entries {
        match means.iter_mut().find(|(known, _)| known == name) {
            Some((_, mean)) => *mean += gradient / share,
            None => means.push((name.to_owned(), gradient / share)),
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Vec<(String, Tensor)> {
        let entries = [("a", 2f32), ("rank1/a", 4.0), ("rank1/b", 8.0)];
        entries.map(|(name, value)| (name.to_owned(), Tensor::from(value))).into()
    }

    fn values(part: Vec<(String, Tensor)>) -> Vec<(String, f64)> {
        part.into_iter().map(|(name, value)| (name, value.double_value(&[]))).collect()
    }

    fn expected(values: &[(&str, f64)]) -> Vec<(String, f64)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn as_many_ranks_go_on_with_their_own() {
        assert_eq!(values(part_of(&saved(), 0, 2, 2)), expected(&[("a", 2.0)]));
        assert_eq!(values(part_of(&saved(), 1, 2, 2)), expected(&[("a", 4.0), ("b", 8.0)]));
    }

    #[test]
    fn others_go_on_with_the_mean() {
        for rank in 0..3 {
            let part = values(part_of(&saved(), rank, 3, 2));
            assert_eq!(part, expected(&[("a", 3.0), ("b", 4.0)]));
        }
        let alone = &saved()[..1];
        assert_eq!(values(part_of(alone, 1, 2, 1)), expected(&[("a", 2.0)]));
        assert_eq!(values(part_of(alone, 1, 2, 2)), expected(&[("a", 2.0)]));
    }
}
