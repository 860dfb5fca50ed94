//! The host services: what hooks can reach of a [`Machine`]. Nothing here decides when a hook is called.

mod blend;
mod control;
mod distributed;
mod files;
mod profile;
mod training;

use serde_json::Value as Json;
use snaphook_hooks::built_in;
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::{
    LogLevel, Progress, ServiceError, Services, Statistic, TensorHandle,
};
use tch::{Kind, Tensor, no_grad};

use crate::machine::Machine;

type Answer = Result<Json, ServiceError>;

impl Services for Machine {
    fn progress(&mut self) -> Progress {
        self.progress
    }

    fn log_level(&mut self) -> LogLevel {
        self.log.level()
    }

    fn log(&mut self, level: LogLevel, target: &str, message: &str) {
        // Built-in hooks speak for the run, as in MMEngine's log; a plugin's lines carry its hook's name.
        let source = if built_in::is_built_in(target) { "" } else { target };
        self.log.write(level, source, message);
    }

    fn scalar_add(&mut self, key: &str, value: f64, count: u64) {
        self.messages.add(key, value, count);
    }

    fn scalar_add_tensor(&mut self, key: &str, tensor: TensorHandle) {
        if let Some(tensor) = self.tensor(tensor) {
            let tensor = tensor.shallow_clone();
            self.messages.add_tensor(key, &tensor);
        }
    }

    fn scalar_read(&mut self, key: &str, statistic: Statistic, window: u64) -> Option<f64> {
        // 0 asks for all of the history.
        let window =
            usize::try_from(window).ok().filter(|window| *window > 0).unwrap_or(usize::MAX);
        match statistic {
            Statistic::Current => self.messages.current(key),
            Statistic::Mean => self.messages.mean(key, window),
            Statistic::Min => self.messages.min(key, window),
            Statistic::Max => self.messages.max(key, window),
        }
    }

    fn output(&mut self, name: &str) -> Option<TensorHandle> {
        let index = self.outputs.iter().position(|(key, _)| key == name)?;
        Some(TensorHandle { id: index as u64 + 1 })
    }

    fn output_names(&mut self) -> Vec<String> {
        self.outputs.iter().map(|(name, _)| name.clone()).collect()
    }

    fn tensor_item(&mut self, tensor: TensorHandle) -> Result<f64, ServiceError> {
        let tensor = self.tensor(tensor).ok_or_else(gone)?;
        if tensor.numel() != 1 {
            let text = format!("tensor of shape {:?}: expected one element", tensor.size());
            return Err(ServiceError::Failed(text));
        }
        Ok(tensor.double_value(&[]))
    }

    fn tensor_all_finite(&mut self, tensor: TensorHandle) -> Result<bool, ServiceError> {
        let tensor = self.tensor(tensor).ok_or_else(gone)?;
        Ok(no_grad(|| tensor.isfinite().all().to_kind(Kind::Int64).int64_value(&[]) != 0))
    }

    fn learning_rate(&mut self) -> Option<f64> {
        Some(self.optim.as_ref()?.groups().first()?.lr())
    }

    fn payload(&mut self, _: HookPoint) -> Json {
        self.payload.clone()
    }

    fn call(&mut self, service: &str, method: &str, arguments: Json) -> Answer {
        match service {
            "snaphook.run/1" => self.run_service(method, &arguments),
            "snaphook.messages/1" => self.messages_service(method, arguments),
            "snaphook.control/1" => self.control_service(method, &arguments),
            "snaphook.distributed/1" => self.distributed_service(method, arguments),
            "snaphook.model/1" => self.model_service(method, &arguments),
            "snaphook.optimizer/1" => self.optimizer_service(method, &arguments),
            "snaphook.schedule/1" => self.schedule_service(method, &arguments),
            "snaphook.averaging/1" => self.averaging_service(method, &arguments),
            "snaphook.data/1" => self.data_service(method, &arguments),
            "snaphook.checkpoint/1" => self.checkpoint_service(method, arguments),
            "snaphook.visual/1" => self.visual_service(method, &arguments),
            "snaphook.profile/1" => self.profile_service(method, &arguments),
            "snaphook.device/1" => self.device_service(method, &arguments),
            _ => Err(ServiceError::Unsupported(service.to_owned())),
        }
    }
}

impl Machine {
    fn tensor(&self, handle: TensorHandle) -> Option<&Tensor> {
        let index = usize::try_from(handle.id).ok()?.checked_sub(1)?;
        self.outputs.get(index).map(|(_, tensor)| tensor)
    }
}

fn gone() -> ServiceError {
    ServiceError::Failed(
        "the tensor is gone: it lives only during the call that handed it out".to_owned(),
    )
}

fn unknown(service: &str, method: &str) -> ServiceError {
    ServiceError::Unsupported(format!("{service} {method}"))
}

fn text<'a>(arguments: &'a Json, key: &str) -> Result<&'a str, ServiceError> {
    arguments[key].as_str().ok_or_else(|| expected(key, "a text", &arguments[key]))
}

fn whole(arguments: &Json, key: &str) -> Result<u64, ServiceError> {
    arguments[key].as_u64().ok_or_else(|| expected(key, "a whole number", &arguments[key]))
}

fn expected(key: &str, what: &str, found: &Json) -> ServiceError {
    ServiceError::Failed(format!("{key}: expected {what}, found {found}"))
}

fn failed(error: impl std::fmt::Display) -> ServiceError {
    ServiceError::Failed(error.to_string())
}
