//! From a model's parameters to groups and long tensors.
//! Knows nothing of updates.

use std::collections::HashSet;

use snaphook_optimizers::{Parameter, WrapperSettings};
use tch::Tensor;

use super::OptimError;
use super::bucket::Bucket;
use super::group::Group;
use super::update::{first_numbers, is_trainable};
use crate::state::{Entry, Layer, ModelState, Role};

/// Parameters that require gradients, each tensor once.
pub(super) fn trained(state: &ModelState) -> Vec<&Entry> {
    let mut seen = HashSet::new();
    state
        .parameters()
        .filter(|entry| entry.tensor.requires_grad() && is_trainable(entry.tensor.kind()))
        .filter(|entry| entry.tensor.numel() == 0 || seen.insert(entry.tensor.data_ptr() as usize))
        .collect()
}

/// The groups, and the index of each parameter's.
pub(super) fn make_groups(
    parameters: &[&Entry],
    settings: &WrapperSettings,
) -> Result<(Vec<Group>, Vec<usize>), OptimError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut assignment = Vec::with_capacity(parameters.len());
    for entry in parameters {
        let alone = settings.paramwise.settings_of(&facts(entry), &settings.optimizer);
        let index =
            groups.iter().position(|group| group.trains_like(&alone)).unwrap_or_else(|| {
                groups.push(Group::new(alone));
                groups.len() - 1
            });
        groups[index].parameters.push(entry.name.clone());
        assignment.push(index);
    }
    if groups.is_empty() { Err(OptimError::NoParameters) } else { Ok((groups, assignment)) }
}

fn facts(entry: &Entry) -> Parameter<'_> {
    let (Role::Parameter(layer) | Role::Buffer(layer)) = entry.role;
    Parameter {
        name: &entry.name,
        dimensions: entry.tensor.dim(),
        is_of_norm: layer == Layer::Norm,
        is_of_convolution: matches!(layer, Layer::Convolution { .. }),
        is_of_depth_wise: matches!(layer, Layer::Convolution { in_channels, groups } if in_channels == groups),
        // No layer here is deformable.
        is_in_deformable: false,
    }
}

/// Long tensors: one for the parameters of each group of one kind on one device.
pub(super) fn make_buckets(
    parameters: &[&Entry],
    (groups, assignment): (&[Group], &[usize]),
    slot_count: usize,
) -> Vec<Bucket> {
    let mut lists: Vec<(_, Vec<(String, Tensor)>)> = Vec::new();
    for (entry, &group) in parameters.iter().zip(assignment) {
        let key = (group, entry.tensor.kind(), entry.tensor.device());
        let item = (entry.name.clone(), entry.tensor.shallow_clone());
        match lists.iter_mut().find(|(other, _)| *other == key) {
            Some((_, list)) => list.push(item),
            None => lists.push((key, vec![item])),
        }
    }
    let bucket = |((group, ..), list): ((usize, _, _), _)| {
        Bucket::new(group, list, (slot_count, first_numbers(&groups[group].hyper)))
    };
    lists.into_iter().map(bucket).collect()
}
