//! The service `distributed`: what hooks of several processes tell each other. With one process, each answer is that of
//! a group of one.

use serde_json::{Value as Json, json};
use snaphook_c10d::ReduceOp;
use snaphook_plugin_api::host::ServiceError;

use super::{Answer, expected, failed, unknown};
use crate::machine::Machine;

impl Machine {
    pub(super) fn distributed_service(&mut self, method: &str, mut arguments: Json) -> Answer {
        let (ranks, state) = (&self.ranks, self.task.model.state());
        match method {
            "world" => return Ok(json!({ "rank": ranks.rank(), "world_size": ranks.world() })),
            "all_reduce" => {
                let op = reduce_op(&arguments)?;
                let values = numbers(&arguments["values"])?;
                let Some(group) = ranks.group() else { return Ok(arguments["values"].take()) };
                return Ok(json!(group.all_reduce_numbers(&values, op).map_err(failed)?));
            }
            "broadcast" => {
                let Some(group) = ranks.group() else { return Ok(arguments["value"].take()) };
                let own = arguments["value"].to_string();
                let bytes = group.broadcast_bytes(own.as_bytes(), 0).map_err(failed)?;
                return serde_json::from_slice(&bytes).map_err(failed);
            }
            "gather" => {
                let Some(group) = ranks.group() else {
                    return Ok(json!([arguments["value"].take()]));
                };
                let own = arguments["value"].to_string();
                let all = group.all_gather_bytes(own.as_bytes()).map_err(failed)?;
                let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map_err(failed);
                return all.iter().map(read).collect::<Result<Vec<Json>, _>>().map(Json::Array);
            }
            "barrier" => match ranks.group() {
                Some(group) => group.barrier(),
                None => Ok(()),
            },
            "average_norm_state" => ranks.average_norms(state),
            "average_buffers" => ranks.average_buffers(state),
            _ => return Err(unknown("snaphook.distributed/1", method)),
        }
        .map_err(failed)?;
        Ok(Json::Null)
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

/// JSON has no NaN: null stands for it.
fn numbers(values: &Json) -> Result<Vec<f64>, ServiceError> {
    let values = values.as_array().ok_or_else(|| expected("values", "numbers", values))?;
    Ok(values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect())
}
