//! The services `profile` (where time goes) and `device` (the memory of the device).

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::{Answer, failed, text, unknown};
use crate::machine::Machine;

/// Entries of a trace: about 40 MB of JSON, more than a viewer likes.
const TRACE_LIMIT: usize = 400_000;

impl Machine {
    pub(super) fn profile_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "start" => {
                self.clock.start_trace(TRACE_LIMIT);
                Ok(Json::Null)
            }
            "stop" => self.write_trace(Path::new(text(arguments, "path")?)),
            "phases" => {
                let seconds = self.clock.seconds().into_iter();
                let seconds: Map<String, Json> =
                    seconds.map(|(name, seconds)| (name.to_owned(), json!(seconds))).collect();
                Ok(Json::Object(seconds))
            }
            _ => Err(unknown("snaphook.profile/1", method)),
        }
    }

    fn write_trace(&mut self, path: &Path) -> Answer {
        let trace = self
            .clock
            .take_trace()
            .ok_or_else(|| failed("nothing was traced (call start first, and stop once)"))?;
        // A relative path is one in the run's folder.
        let path = self.info.run_dir.join(path);
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, trace.to_json(&self.info.experiment_name).to_string())
        };
        write().map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(json!({ "path": path, "lost": trace.lost() }))
    }

    pub(super) fn device_service(&self, method: &str) -> Answer {
        match method {
            // The CPU's allocator keeps no cache of its own that could be given back.
            "empty_cache" if self.info.device == tch::Device::Cpu => Ok(Json::Null),
            _ => Err(unknown("snaphook.device/1", method)),
        }
    }
}
