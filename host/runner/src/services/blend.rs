//! Moves one part of a model towards another of the same structure. Knows nothing of what the parts are.

use serde_json::Value as Json;
use snaphook_plugin_api::host::ServiceError;
use tch::{Tensor, no_grad};

use super::{Answer, expected, failed, text};
use crate::ModelState;

/// `target = (1 - weight) * target + weight * source`, tensor by tensor.
///
/// Source: `momentum_update` in `mmdet/engine/hooks/mean_teacher_hook.py`, which goes by the order of the tensors; here
/// names and shapes must fit as well.
pub(super) fn blend(state: &ModelState, arguments: &Json) -> Answer {
    let (target, source) = (text(arguments, "target")?, text(arguments, "source")?);
    let weight = arguments["weight"].as_f64().filter(|weight| (0.0..=1.0).contains(weight));
    let weight =
        weight.ok_or_else(|| expected("weight", "a number from 0 to 1", &arguments["weight"]))?;
    let with_buffers = arguments["buffers"].as_bool().unwrap_or(false);
    for (target, source) in pairs(state, target, source)? {
        if with_buffers || target.is_parameter {
            // The end of the range is a copy, also where the target is not a number.
            let mut tensor = target.tensor;
            let _ = no_grad(|| match weight {
                1.0 => {
                    tensor.copy_(source);
                    tensor
                }
                _ => tensor.lerp_(source, weight),
            });
        }
    }
    Ok(Json::Null)
}

struct Target {
    tensor: Tensor,
    is_parameter: bool,
}

/// The tensors of both parts that can be blended, by their names within the part.
fn pairs<'a>(
    state: &'a ModelState,
    target: &str,
    source: &str,
) -> Result<Vec<(Target, &'a Tensor)>, ServiceError> {
    let mut pairs = Vec::new();
    for entry in state.entries() {
        let Some(own) = within(&entry.name, target) else { continue };
        let name = format!("{source}.{own}");
        let Some(other) = state.get(&name) else {
            return Err(failed(format!("{}: expected {name} beside it, found none", entry.name)));
        };
        let (size, other_size) = (entry.tensor.size(), other.size());
        if size != other_size {
            let name = &entry.name;
            return Err(failed(format!(
                "{name}: expected the shape {other_size:?} of {source}, found {size:?}"
            )));
        }
        if entry.tensor.is_floating_point() {
            let tensor = entry.tensor.shallow_clone();
            pairs.push((Target { tensor, is_parameter: entry.is_parameter() }, other));
        }
    }
    let count = |part: &str| {
        state.entries().iter().filter(|entry| within(&entry.name, part).is_some()).count()
    };
    match (count(target), count(source)) {
        (0, _) => Err(missing(target)),
        (_, 0) => Err(missing(source)),
        (of_target, of_source) if of_target != of_source => Err(failed(format!(
            "{target}: expected the {of_source} tensors of {source}, found {of_target}"
        ))),
        _ => Ok(pairs),
    }
}

/// The name of a tensor within a part.
fn within<'a>(name: &'a str, part: &str) -> Option<&'a str> {
    name.strip_prefix(part)?.strip_prefix('.')
}

fn missing(part: &str) -> ServiceError {
    failed(format!("the model has no part \"{part}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Scope};
    use serde_json::json;
    use tch::{Device, Kind};

    /// Two parts with a weight and a running mean each: ones in the student, zeros in the teacher.
    fn state() -> ModelState {
        let root = Scope::root(Device::Cpu);
        for (part, value) in [("teacher", 0.0), ("student", 1.0)] {
            let scope = root.child(part).child("bn");
            let weight = scope.parameter("weight", &[2], Layer::Norm);
            let _ = no_grad(|| weight.shallow_clone().fill_(value));
            let mean = Tensor::full([2], value, (Kind::Float, Device::Cpu));
            let _ = scope.buffer("running_mean", mean, Layer::Norm);
            let _ = scope.buffer("seen", Tensor::from_slice(&[value as i64]), Layer::Norm);
        }
        let _ = root.child("head").parameter("weight", &[3], Layer::Other);
        root.finish()
    }

    fn arguments(weight: f64, buffers: bool) -> Json {
        json!({ "target": "teacher", "source": "student", "weight": weight, "buffers": buffers })
    }

    fn first(state: &ModelState, name: &str) -> f64 {
        state.get(name).unwrap().double_value(&[0])
    }

    #[test]
    fn the_target_moves_by_the_weight_and_the_source_stays() {
        let state = state();
        blend(&state, &arguments(0.25, false)).unwrap();
        blend(&state, &arguments(0.5, false)).unwrap();
        assert_eq!(first(&state, "teacher.bn.weight"), 0.625);
        assert_eq!(first(&state, "teacher.bn.running_mean"), 0.0);
        blend(&state, &arguments(0.5, true)).unwrap();
        assert_eq!(first(&state, "teacher.bn.running_mean"), 0.5);
        assert_eq!(first(&state, "teacher.bn.seen"), 0.0, "counters are no floats");
        assert_eq!(first(&state, "student.bn.weight"), 1.0);
    }

    #[test]
    fn weight_1_copies_whatever_was_there() {
        let state = state();
        let _ = no_grad(|| state.get("teacher.bn.weight").unwrap().shallow_clone().fill_(f64::NAN));
        blend(&state, &arguments(1.0, false)).unwrap();
        assert_eq!(first(&state, "teacher.bn.weight"), 1.0);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        for (target, source, expected) in [
            ("teacher", "nobody", "expected nobody.bn.weight"),
            ("nobody", "teacher", "no part \"nobody\""),
            ("head", "teacher.bn", "expected the shape [2] of teacher.bn, found [3]"),
            ("teach", "student", "no part \"teach\""),
        ] {
            let mut arguments = arguments(0.5, false);
            arguments["target"] = json!(target);
            arguments["source"] = json!(source);
            let error = blend(&state(), &arguments).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(blend(&state(), &arguments(1.5, false)).is_err());
    }
}
