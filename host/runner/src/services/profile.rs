//! The services `profile` (where time goes) and `device` (the memory of the device).

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use snaphook_libtorch::{GpuMemory, Listener, Total, gpu_memory, totals};
use tch::Device;

use super::{Answer, failed, text, unknown};
use crate::machine::Machine;

/// Entries of a trace: about 40 MB of JSON, more than a viewer likes.
const TRACE_LIMIT: usize = 400_000;

impl Machine {
    pub(super) fn profile_service(&mut self, method: &str, arguments: &Json) -> Answer {
        match method {
            "start" => {
                self.clock.start_trace(TRACE_LIMIT);
                self.listener = None;
                if arguments["operators"] == true {
                    let with_shapes = arguments["shapes"] == true;
                    let listener = Listener::start(TRACE_LIMIT as u64, with_shapes);
                    let taken = || failed("operators are traced already");
                    self.listener = Some(listener.ok_or_else(taken)?);
                }
                Ok(Json::Null)
            }
            "operators" => Ok(self.operators.iter().map(total_json).collect()),
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
        let mut trace = self
            .clock
            .take_trace()
            .ok_or_else(|| failed("nothing was traced (call start first, and stop once)"))?;
        if let Some(listener) = self.listener.take() {
            let heard = listener.stop();
            self.operators = totals(&heard.all);
            trace.add_operators(heard);
        }
        // A relative path is one in the run's folder.
        let mut path = self.info.run_dir.join(path);
        if let rank @ 1.. = self.ranks.rank() {
            path.as_mut_os_string().push(format!(".rank{rank}"));
        }
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, trace.to_json(&self.info.experiment_name).to_string())
        };
        write().map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(json!({ "path": path, "lost": trace.lost() }))
    }

    pub(super) fn device_service(&self, method: &str, arguments: &Json) -> Answer {
        match (method, self.info.device) {
            ("empty_cache", Device::Cuda(_)) => match snaphook_libtorch::empty_cache() {
                true => Ok(Json::Null),
                false => Err(failed("libtorch's allocator of the GPU did not answer")),
            },
            // The CPU's allocator keeps no cache of its own that could be given back.
            ("empty_cache", _) => Ok(Json::Null),
            ("memory", Device::Cuda(number)) => {
                let memory = gpu_memory(number, arguments["reset_peak"] == true);
                let told = |m: GpuMemory| json!({ "peak": m.peak, "reserved": m.reserved });
                Ok(memory.map_or(Json::Null, told))
            }
            ("memory", _) => Ok(Json::Null),
            _ => Err(unknown("snaphook.device/1", method)),
        }
    }
}

fn total_json(total: &Total) -> Json {
    json!({
        "name": total.name,
        "calls": total.calls,
        "total": total.total.as_secs_f64(),
        "own": total.own.as_secs_f64(),
    })
}
