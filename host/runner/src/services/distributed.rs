//! The service `distributed`: what hooks of several processes tell each other. With one process, each answer is that of
//! a group of one.
//!
//! Before each, ranks make sure that the same hook has called the same at the same point on all of them.

use serde_json::{Value as Json, json};
use snaphook_c10d::{Group, ReduceOp};
use snaphook_plugin_api::host::ServiceError;

use super::{Answer, expected, failed, unknown};
use crate::machine::Machine;
use crate::ranks::CALLED;

/// What a hook has called, on all ranks.
enum Call {
    AllReduce { values: Vec<f64>, op: ReduceOp },
    Broadcast(Json),
    Gather(Json),
    Barrier,
    AverageNormState,
    AverageBuffers,
}

impl Machine {
    pub(super) fn distributed_service(&mut self, method: &str, arguments: Json) -> Answer {
        if method == "world" {
            return Ok(json!({ "rank": self.ranks.rank(), "world_size": self.ranks.world() }));
        }
        let call = Call::read(method, arguments)?;
        let Some(group) = self.ranks.group().cloned() else { return Ok(call.alone()) };
        let hook = match &self.caller {
            Some((hook, point)) => format!("{hook} at {}", point.name()),
            None => "a hook".to_owned(),
        };
        let purpose = format!("{hook}{CALLED}{}", call.words());
        self.ranks.meet_for_hook(purpose).map_err(failed)?;
        let answer = self.carry_out_on_all(call, &group)?;
        self.ranks.part();
        Ok(answer)
    }

    fn carry_out_on_all(&self, call: Call, group: &Group) -> Answer {
        let (ranks, state) = (&self.ranks, self.task.model.state());
        match call {
            Call::AllReduce { values, op } => {
                let reduced = group.all_reduce_numbers(&values, op).map_err(failed)?;
                return Ok(reduced.into_iter().map(number_to_json).collect());
            }
            Call::Broadcast(own) => {
                let bytes = group.broadcast_bytes(own.to_string().as_bytes(), 0).map_err(failed)?;
                return serde_json::from_slice(&bytes).map_err(failed);
            }
            Call::Gather(own) => {
                let all = group.all_gather_bytes(own.to_string().as_bytes()).map_err(failed)?;
                let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map_err(failed);
                return all.iter().map(read).collect::<Result<Vec<Json>, _>>().map(Json::Array);
            }
            // To have met is all there is to it.
            Call::Barrier => Ok(()),
            Call::AverageNormState => ranks.average_norms(state),
            Call::AverageBuffers => ranks.average_buffers(state),
        }
        .map_err(failed)?;
        Ok(Json::Null)
    }
}

impl Call {
    fn read(method: &str, mut arguments: Json) -> Result<Call, ServiceError> {
        Ok(match method {
            "all_reduce" => {
                let op = reduce_op(&arguments)?;
                Call::AllReduce { values: numbers(&arguments["values"])?, op }
            }
            "broadcast" => Call::Broadcast(arguments["value"].take()),
            "gather" => Call::Gather(arguments["value"].take()),
            "barrier" => Call::Barrier,
            "average_norm_state" => Call::AverageNormState,
            "average_buffers" => Call::AverageBuffers,
            _ => return Err(unknown("snaphook.distributed/1", method)),
        })
    }

    /// What must be the same on all ranks, in the words of the plugin's side.
    fn words(&self) -> String {
        match self {
            Call::AllReduce { values, op } => {
                let numbers = if values.len() == 1 { "number" } else { "numbers" };
                let op = format!("{op:?}").to_lowercase();
                format!("all_reduce_{op} of {} {numbers}", values.len())
            }
            Call::Broadcast(_) => "broadcast".to_owned(),
            Call::Gather(_) => "gather".to_owned(),
            Call::Barrier => "barrier".to_owned(),
            Call::AverageNormState => "average_norm_state".to_owned(),
            Call::AverageBuffers => "average_buffers".to_owned(),
        }
    }

    /// The answer of a group of one.
    fn alone(self) -> Json {
        match self {
            Call::AllReduce { values, .. } => values.into_iter().map(number_to_json).collect(),
            Call::Broadcast(value) => value,
            Call::Gather(value) => json!([value]),
            Call::Barrier | Call::AverageNormState | Call::AverageBuffers => Json::Null,
        }
    }
}

fn reduce_op(arguments: &Json) -> Result<ReduceOp, ServiceError> {
    match arguments["op"].as_str() {
        Some("mean") => Ok(ReduceOp::Mean),
        Some("sum") => Ok(ReduceOp::Sum),
        Some("min") => Ok(ReduceOp::Min),
        Some("max") => Ok(ReduceOp::Max),
        _ => Err(expected("op", "mean, sum, min or max", &arguments["op"])),
    }
}

/// JSON has no infinities: plugins write them as text. Older plugins write null, which stands for NaN.
fn numbers(values: &Json) -> Result<Vec<f64>, ServiceError> {
    let values = values.as_array().ok_or_else(|| expected("values", "numbers", values))?;
    let number = |value: &Json| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    Ok(values.iter().map(|value| number(value).unwrap_or(f64::NAN)).collect())
}

fn number_to_json(value: f64) -> Json {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_know_arrive() {
        let told = json!([1.5, "inf", "-inf", null, "NaN"]);
        let read = numbers(&told).unwrap();
        assert_eq!(read[..3], [1.5, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(read[3].is_nan() && read[4].is_nan());
        let back: Vec<Json> = read.into_iter().map(number_to_json).collect();
        assert_eq!(json!(back), json!([1.5, "inf", "-inf", "NaN", "NaN"]));
    }

    #[test]
    fn what_must_be_the_same_is_in_the_words_of_a_call() {
        let words = |method, arguments| Call::read(method, arguments).unwrap().words();
        let reduce = |values: &[f64]| json!({ "values": values, "op": "mean" });
        assert_eq!(words("all_reduce", reduce(&[3.0])), "all_reduce_mean of 1 number");
        assert_eq!(words("all_reduce", reduce(&[0.0; 4])), "all_reduce_mean of 4 numbers");
        assert_eq!(words("gather", json!({ "value": 1 })), words("gather", json!({ "value": 2 })));
        assert!(Call::read("sing", json!({})).is_err());
    }
}
