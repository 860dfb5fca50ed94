//! The services `run`, `messages` and `control`.

use serde_json::{Value as Json, json};
use snaphook_hooks::FinalCopy;
use snaphook_plugin_api::ServiceError;

use super::{Answer, text, unknown};
use crate::interrupt::signal_name;
use crate::machine::Machine;

impl Machine {
    pub(super) fn run_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "copy_at_end" => {
                let copy = FinalCopy::read(arguments);
                self.final_copies.push(copy.map_err(|error| ServiceError::Failed(error.message))?);
                Ok(Json::Null)
            }
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
            "interruption" => return Ok(self.interruption()),
            _ => return Err(unknown("snaphook.control/1", method)),
        }
        Ok(Json::Null)
    }

    /// Whoever asks does not hang.
    fn interruption(&self) -> Json {
        self.clock.beat();
        let again = self.interrupt.signal();
        let Some(signal) = self.interrupted_by.or(again) else { return Json::Null };
        let times = u32::from(self.interrupted_by.is_some()) + u32::from(again.is_some());
        json!({ "signal": signal, "name": signal_name(signal), "times": times })
    }
}
