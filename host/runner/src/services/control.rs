//! The services `run`, `messages`, `control` and `distributed`.

use serde_json::{Value as Json, json};
use snaphook_plugin_api::host::ServiceError;

use super::{Answer, text, unknown};
use crate::machine::Machine;

impl Machine {
    pub(super) fn run_service(&self, method: &str) -> Answer {
        match method {
            "info" => Ok(self.info.to_json()),
            "config" => Ok(self.config.clone()),
            _ => Err(unknown("snaphook.run/1", method)),
        }
    }

    pub(super) fn messages_service(&mut self, method: &str, mut arguments: Json) -> Answer {
        match method {
            "set_info" => {
                let value = arguments["value"].take();
                self.messages.set_info(text(&arguments, "key")?, value);
                Ok(Json::Null)
            }
            "info" => {
                Ok(self.messages.info(text(&arguments, "key")?).cloned().unwrap_or(Json::Null))
            }
            "keys" => Ok(self.messages.keys().collect()),
            _ => Err(unknown("snaphook.messages/1", method)),
        }
    }

    pub(super) fn control_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "stop" => {
                let reason = text(arguments, "reason")?.to_owned();
                self.stop.get_or_insert(reason);
            }
            "validate" => self.wants_validation = true,
            _ => return Err(unknown("snaphook.control/1", method)),
        }
        Ok(Json::Null)
    }

    /// One process: every collective is what a group of one answers.
    pub(super) fn distributed_service(&mut self, method: &str, mut arguments: Json) -> Answer {
        match method {
            "world" => Ok(json!({ "rank": 0, "world_size": 1 })),
            "all_reduce" => all_reduce(&mut arguments),
            "broadcast" => Ok(arguments["value"].take()),
            "gather" => Ok(json!([arguments["value"].take()])),
            "barrier" | "average_norm_state" | "average_buffers" => Ok(Json::Null),
            _ => Err(unknown("snaphook.distributed/1", method)),
        }
    }
}

fn all_reduce(arguments: &mut Json) -> Answer {
    match arguments["op"].as_str() {
        Some("mean" | "sum" | "min" | "max") => Ok(arguments["values"].take()),
        _ => {
            let found = &arguments["op"];
            Err(ServiceError::Failed(format!("op: expected mean, sum, min or max, found {found}")))
        }
    }
}
