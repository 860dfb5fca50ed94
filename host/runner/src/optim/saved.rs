//! The state of an optimizer as a checkpoint keeps it: everything by the parameter's name.
//! Knows nothing of files.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use tch::{Device, Tensor};

use super::OptimError;
use super::bucket::{Bucket, Member};

/// What a checkpoint keeps of an optimizer.
#[derive(Debug)]
pub struct OptimState {
    /// Kind, groups and the number of updates of each parameter.
    pub scalars: Json,
    /// Running tensors: `momentum_buffer.backbone.stem.conv.weight`. On the CPU; nobody else changes them.
    pub tensors: Vec<(String, Tensor)>,
}

/// What loading a saved optimizer found.
#[must_use = "edited settings are to be reported, and schedules replayed"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedOptimizer {
    /// Settings that were edited since the save, a sentence each. The edited ones hold. If there are any, the schedules
    /// must be replayed, because the saved values came from others.
    pub edits: Vec<String>,
}

/// Copies of the running tensors of all parameters that were updated.
pub(super) fn save_tensors(buckets: &[Bucket], slot_names: &[&str]) -> Vec<(String, Tensor)> {
    let mut tensors = Vec::new();
    for bucket in buckets {
        for (slot, name) in bucket.slots.iter().zip(slot_names) {
            let copy = slot.to_device_(Device::Cpu, slot.kind(), false, true);
            let updated = bucket.members.iter().filter(|member| member.steps > 0);
            tensors.extend(
                updated.map(|member| (format!("{name}.{}", member.name), member.view(&copy))),
            );
        }
    }
    tensors
}

pub(super) fn save_steps(buckets: &[Bucket]) -> Json {
    let members = buckets.iter().flat_map(|bucket| &bucket.members);
    Json::Object(members.map(|member| (member.name.clone(), json!(member.steps))).collect())
}

/// What update rules keep for a parameter beside its steps; only of those that keep something.
pub(super) fn save_numbers(buckets: &[Bucket]) -> Json {
    let members = buckets.iter().flat_map(|bucket| &bucket.members);
    let members = members.filter(|member| !member.numbers.is_empty());
    Json::Object(members.map(|member| (member.name.clone(), json!(member.numbers))).collect())
}

fn saved_numbers(saved: &OptimState, member: &Member) -> Result<Vec<f64>, OptimError> {
    if member.numbers.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = saved.scalars["numbers"][&member.name].as_array();
    let numbers: Option<Vec<f64>> =
        numbers.and_then(|numbers| numbers.iter().map(Json::as_f64).collect());
    numbers
        .filter(|numbers| numbers.len() == member.numbers.len())
        .ok_or_else(|| OptimError::Malformed { expected: format!("`numbers` of {}", member.name) })
}

/// Puts saved steps and tensors into the buckets; changes nothing unless everything fits. Says what begins from nothing,
/// because the saved optimizer did not keep it: the momentum of one that had none.
pub(super) fn load(
    buckets: &mut [Bucket],
    slot_names: &[&str],
    saved: &OptimState,
) -> Result<Vec<String>, OptimError> {
    let expected = "`steps`, an object of whole numbers";
    let steps = saved.scalars.get("steps").and_then(Json::as_object);
    let steps = steps.ok_or_else(|| OptimError::Malformed { expected: expected.into() })?;
    check_names(buckets, steps)?;
    let (mut copies, mut numbers) = (Vec::new(), Vec::new());
    let is_kept = |name: &str| {
        let mut names = saved.tensors.iter().map(|(key, _)| key.as_str());
        names.any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    };
    let new: Vec<&str> = slot_names.iter().copied().filter(|name| !is_kept(name)).collect();
    let has_stepped = steps.values().any(|count| count.as_u64() > Some(0));
    for bucket in buckets.iter() {
        for member in &bucket.members {
            let count = steps[&member.name].as_u64();
            let count = count.ok_or_else(|| OptimError::Malformed { expected: expected.into() })?;
            numbers.push(saved_numbers(saved, member)?);
            let names = if count == 0 { &[][..] } else { slot_names };
            let slots = bucket.slots.iter().zip(names);
            for (slot, name) in slots.filter(|(_, name)| !new.contains(*name)) {
                copies.push((
                    member.view(slot),
                    saved_tensor(saved, name, (member.name.as_str(), &member.view(slot)))?,
                ));
            }
        }
    }
    let mut numbers = numbers.into_iter();
    for bucket in buckets.iter_mut() {
        bucket.slots.iter_mut().for_each(|slot| drop(slot.zero_()));
        for member in &mut bucket.members {
            member.set_steps(steps[&member.name].as_u64().unwrap_or(0));
            member.numbers = numbers.next().unwrap_or_default();
        }
    }
    for (mut place, tensor) in copies {
        place.copy_(tensor);
    }
    let told = new.iter().filter(|_| has_stepped);
    Ok(told.map(|name| format!("{name} was not kept, and begins from nothing")).collect())
}

fn check_names(buckets: &[Bucket], steps: &Map<String, Json>) -> Result<(), OptimError> {
    let here: BTreeSet<&str> = buckets
        .iter()
        .flat_map(|bucket| &bucket.members)
        .map(|member| member.name.as_str())
        .collect();
    let there: BTreeSet<&str> = steps.keys().map(String::as_str).collect();
    let mut reasons = Vec::new();
    let missing: Vec<&str> = here.difference(&there).copied().collect();
    if !missing.is_empty() {
        reasons.push(format!("missing {}", few(&missing)));
    }
    let extra: Vec<&str> = there.difference(&here).copied().collect();
    if !extra.is_empty() {
        reasons.push(format!("unexpected {}", few(&extra)));
    }
    if reasons.is_empty() { Ok(()) } else { Err(OptimError::OtherModel(reasons.join("; "))) }
}

fn saved_tensor<'a>(
    saved: &'a OptimState,
    slot: &str,
    (parameter, place): (&str, &Tensor),
) -> Result<&'a Tensor, OptimError> {
    let name = format!("{slot}.{parameter}");
    let found = saved.tensors.iter().find(|(key, _)| *key == name).map(|(_, tensor)| tensor);
    let tensor = found.ok_or_else(|| OptimError::OtherModel(format!("missing {name}")))?;
    if tensor.size() == place.size() {
        return Ok(tensor);
    }
    let reason = format!("{name}: expected shape {:?}, found {:?}", place.size(), tensor.size());
    Err(OptimError::OtherModel(reason))
}

/// The first names of many.
fn few(names: &[&str]) -> String {
    let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}
