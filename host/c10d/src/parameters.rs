//! What ranks tell each other of the parameters whose gradients they are to exchange, so that those which differ are named before
//! anything is exchanged. Knows nothing of gradients.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tch::Tensor;

use crate::error::{Error, Failure};
use crate::group::Group;

const OPERATION: &str = "comparing parameters";
/// The first byte of what a rank tells.
const FINE: u8 = 0;

/// What is wrong with parameters on this rank by themselves.
///
/// Errors: there is none; one that needs no gradient, or is the result of a computation.
pub(crate) fn check(parameters: &[(String, Tensor)]) -> Result<(), Error> {
    let refused = |words: &str| Err(Error::new(OPERATION, Failure::Other, words));
    if parameters.is_empty() {
        return refused("expected parameters, found none");
    }
    for (name, tensor) in parameters {
        let found = match tensor {
            tensor if !tensor.defined() => "nothing",
            tensor if !tensor.requires_grad() => "one that needs no gradient",
            tensor if !tensor.is_leaf() => "the result of a computation",
            _ => continue,
        };
        return refused(&format!("{name}: expected a parameter that is trained, found {found}"));
    }
    Ok(())
}

/// Compares names, kinds, shapes and strides over all ranks; `own` is what [`check`] says on this one.
///
/// Errors: on all ranks, the first parameter that differs with a rank that has another than rank 0, or what is wrong on a
/// rank by itself; as [`Group::all_reduce`].
pub(crate) fn compare(
    group: &Group,
    parameters: &[(String, Tensor)],
    own: Result<(), Error>,
) -> Result<(), Error> {
    let lines: Vec<String> = match &own {
        Ok(()) => parameters.iter().map(line).collect(),
        Err(_) => Vec::new(),
    };
    let told = match &own {
        Ok(()) => [&[FINE][..], &digest(&lines).to_le_bytes()].concat(),
        Err(error) => [&[1], error.message().as_bytes()].concat(),
    };
    let all = group.all_gather_bytes(&told)?;
    own?;
    let failed = |told: &Vec<u8>| told.first() != Some(&FINE);
    if let Some(rank) = all.iter().position(failed) {
        let words = String::from_utf8_lossy(&all[rank][1..]);
        return refused(&format!("on rank {rank}: {words}"));
    }
    if all.iter().all(|told| *told == all[0]) {
        return Ok(());
    }
    let all = group.all_gather_bytes(lines.join("\n").as_bytes())?;
    let all: Vec<_> = all.iter().map(|lines| String::from_utf8_lossy(lines)).collect();
    refused(&difference(&all).unwrap_or_else(|| "ranks have other parameters".to_owned()))
}

fn refused(words: &str) -> Result<(), Error> {
    Err(Error::new(OPERATION, Failure::Other, words))
}

/// `backbone.stem.weight Float [64, 3, 7, 7]`, with strides where they are not those of its shape.
fn line((name, tensor): &(String, Tensor)) -> String {
    let (kind, shape) = (tensor.kind(), tensor.size());
    // A line is one parameter.
    let name = name.replace('\n', " ");
    match tensor.is_contiguous() {
        true => format!("{name} {kind:?} {shape:?}"),
        false => format!("{name} {kind:?} {shape:?} with strides {:?}", tensor.stride()),
    }
}

fn digest(lines: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    hasher.finish()
}

/// The first parameter of which a rank has another than rank 0.
fn difference(all: &[impl AsRef<str>]) -> Option<String> {
    let first: Vec<&str> = all.first()?.as_ref().lines().collect();
    let of_rank = |(rank, lines): (usize, &str)| {
        let lines: Vec<&str> = lines.lines().collect();
        let length = first.len().max(lines.len());
        let at = (0..length).find(|at| first.get(*at) != lines.get(*at))?;
        let shown =
            |lines: &[&str]| lines.get(at).map_or("none".to_owned(), |line| (*line).to_owned());
        Some((at, rank, shown(&first), shown(&lines)))
    };
    let (at, rank, first, other) =
        all.iter().map(AsRef::as_ref).enumerate().filter_map(of_rank).min()?;
    Some(format!(
        "expected the same on all ranks, found as parameter {}: {first} on rank 0, {other} on rank {rank}",
        at + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_that_differs_is_named_with_its_rank() {
        let (same, swapped) = ("a Float [3]\nb Float [3]", "a Float [3]\nc Float [3]\nb Float [3]");
        assert_eq!(difference(&[same, same]), None);
        let words = "expected the same on all ranks, found as parameter 2: b Float [3] on rank 0, ";
        assert_eq!(
            difference(&[same, same, swapped]),
            Some(format!("{words}c Float [3] on rank 2"))
        );
        assert_eq!(difference(&[same, "a Float [3]"]), Some(format!("{words}none on rank 1")));
        let second = difference(&["a Float [3]", "b Double [3]"]).unwrap();
        assert!(second.ends_with("parameter 1: a Float [3] on rank 0, b Double [3] on rank 1"));
    }
}
