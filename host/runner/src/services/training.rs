//! The services `model`, `optimizer`, `schedule` and `averaging`.

use serde_json::{Value as Json, json};

use super::blend::blend;
use super::{Answer, expected, failed, text, unknown, whole};
use crate::averaging::Averager;
use crate::machine::Machine;
use snaphook_schedules::Unit;

impl Machine {
    pub(super) fn model_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "modules" => {
                let modules = self.task.model.modules();
                let module = |module: &crate::ModuleInfo| json!({ "name": module.name, "type_name": module.type_name, "attributes": module.attributes });
                Ok(modules.iter().map(module).collect())
            }
            "attribute" => {
                let (module, name) = (text(arguments, "module")?, text(arguments, "name")?);
                let modules = self.task.model.modules();
                let found = modules.iter().find(|info| info.name == module);
                Ok(found.map_or(Json::Null, |info| info.attributes[name].clone()))
            }
            "set_attribute" => {
                let (module, name) = (text(arguments, "module")?, text(arguments, "name")?);
                self.task.model.set_attribute(module, name, &arguments["value"]).map_err(failed)?;
                Ok(Json::Null)
            }
            "blend" => blend(self.task.model.state(), arguments),
            "call" => self
                .task
                .model
                .call(text(arguments, "method")?, &arguments["arguments"])
                .map_err(failed),
            _ => Err(unknown("snaphook.model/1", method)),
        }
    }

    pub(super) fn optimizer_service(&mut self, method: &str, arguments: &Json) -> Answer {
        let Some(optim) = &mut self.optim else {
            return Err(failed("there is no optimizer: this run does not train"));
        };
        match method {
            "groups" => Ok(optim.groups().iter().map(|group| group.to_json()).collect()),
            "base_lr" => Ok(json!(optim.base_lr())),
            "set" => {
                let group = whole(arguments, "group")? as usize;
                let value = arguments["value"]
                    .as_f64()
                    .ok_or_else(|| expected("value", "a number", &arguments["value"]))?;
                optim.set(group, text(arguments, "name")?, value).map_err(failed)?;
                Ok(Json::Null)
            }
            _ => Err(unknown("snaphook.optimizer/1", method)),
        }
    }

    pub(super) fn schedule_service(&mut self, method: &str, arguments: &Json) -> Answer {
        let (Some(optim), Some(schedules)) = (&mut self.optim, &mut self.schedules) else {
            return Err(failed("there is no schedule: this run does not train"));
        };
        match (method, arguments["unit"].as_str()) {
            ("step", Some("iter")) => schedules.step(Unit::Iteration, optim),
            ("step", Some("epoch")) => schedules.step(Unit::Epoch, optim),
            ("step_metrics", _) => {
                let metrics = arguments["metrics"].as_object();
                let metrics = metrics
                    .ok_or_else(|| expected("metrics", "an object", &arguments["metrics"]))?;
                schedules.validated(metrics, optim).map_err(failed)?;
            }
            ("step", _) => {
                return Err(expected("unit", "\"iter\" or \"epoch\"", &arguments["unit"]));
            }
            _ => return Err(unknown("snaphook.schedule/1", method)),
        }
        Ok(Json::Null)
    }

    pub(super) fn averaging_service(&mut self, method: &str, arguments: &Json) -> Answer {
        if method == "create" {
            if self.averager.is_some() {
                return Err(failed(
                    "a run has one average, and another hook makes it (one EMAHook)",
                ));
            }
            self.averager =
                Some(Averager::build(arguments, self.task.model.state()).map_err(failed)?);
            return Ok(Json::Null);
        }
        let Some(averager) = &mut self.averager else {
            return Err(failed("no average was made (call create first)"));
        };
        let state = self.task.model.state();
        match method {
            "update" if arguments["started"] == Json::Bool(false) => averager.copy_from(state),
            "update" => averager.update(state),
            "swap" => averager.swap(state),
            _ => return Err(unknown("snaphook.averaging/1", method)),
        }
        Ok(Json::Null)
    }
}
