//! Where the time of a run goes, and the device that it runs on. Knows nothing of how a host measures it.

use super::{ids, text, wrong, Device, Profile, ServiceResult};
use serde_json::{json, Value as Json};
use std::path::{Path, PathBuf};

/// A trace that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceFile {
    /// The file.
    pub path: PathBuf,
    /// Entries that were left out, because there were too many.
    pub lost: u64,
}

/// All calls of one operator of libtorch in a trace.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperatorTotal {
    /// As libtorch calls it (`aten::conv2d`).
    pub name: String,
    /// How often it was called.
    pub calls: u64,
    /// Seconds in it and in what it called.
    pub total_seconds: f64,
    /// Seconds in it alone.
    pub own_seconds: f64,
}

/// What the allocator knows of the GPU of this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceMemory {
    /// Most that tensors took since the peak was reset.
    pub peak: u64,
    /// What the allocator holds.
    pub reserved: u64,
}

impl Profile<'_> {
    /// Writes down every iteration, phase and call of a hook from now on; what was written down before is forgotten.
    pub fn start(&self) -> ServiceResult<()> {
        self.host.call(ids::PROFILE, "start", &json!({})).map(drop)
    }

    /// As [`Profile::start`], with every operator of libtorch as well, and on request the shapes of its inputs. That
    /// slows the run down as long as it lasts.
    pub fn start_with_operators(&self, shapes: bool) -> ServiceResult<()> {
        let arguments = json!({ "operators": true, "shapes": shapes });
        self.host.call(ids::PROFILE, "start", &arguments).map(drop)
    }

    /// The operators of the trace that was stopped last, the one with most time of its own first.
    pub fn operators(&self) -> ServiceResult<Vec<OperatorTotal>> {
        let answer = self.host.call(ids::PROFILE, "operators", &json!({}))?;
        let total = |one: &Json| OperatorTotal {
            name: text(one, "name"),
            calls: one["calls"].as_u64().unwrap_or_default(),
            total_seconds: one["total"].as_f64().unwrap_or_default(),
            own_seconds: one["own"].as_f64().unwrap_or_default(),
        };
        match &answer {
            Json::Array(all) => Ok(all.iter().map(total).collect()),
            found => Err(wrong("profile.operators", "an array", found)),
        }
    }

    /// Ends it, and writes a trace that Chrome (`chrome://tracing`) and Perfetto open. A relative path is one in the
    /// run's folder.
    pub fn stop(&self, path: impl AsRef<Path>) -> ServiceResult<TraceFile> {
        let path = path.as_ref().to_string_lossy();
        let written = self.host.call(ids::PROFILE, "stop", &json!({ "path": path }))?;
        let lost = written["lost"].as_u64().unwrap_or_default();
        Ok(TraceFile { path: text(&written, "path").into(), lost })
    }

    /// Seconds of each phase since the run began: `data`, `forward`, `backward`, `optimizer`, `hooks`, `evaluation`,
    /// `checkpoint`, `other`.
    pub fn phases(&self) -> ServiceResult<Vec<(String, f64)>> {
        match self.host.call(ids::PROFILE, "phases", &json!({}))? {
            Json::Object(phases) => {
                let seconds = |(name, value): (String, Json)| (name, value.as_f64().unwrap_or(0.0));
                Ok(phases.into_iter().map(seconds).collect())
            }
            found => Err(wrong("profile.phases", "an object", &found)),
        }
    }
}

impl Device<'_> {
    /// Gives cached memory of the device back to the system. Nothing to do on a CPU.
    pub fn empty_cache(&self) -> ServiceResult<()> {
        self.host.call(ids::DEVICE, "empty_cache", &json!({})).map(drop)
    }

    /// Memory of the GPU that this process computes on; none on a CPU. With `reset_peak` the peak counts from now on.
    pub fn memory(&self, reset_peak: bool) -> ServiceResult<Option<DeviceMemory>> {
        let answer = self.host.call(ids::DEVICE, "memory", &json!({ "reset_peak": reset_peak }))?;
        let bytes = |key: &str| answer[key].as_u64();
        let memory = bytes("peak").zip(bytes("reserved"));
        Ok(memory.map(|(peak, reserved)| DeviceMemory { peak, reserved }))
    }
}
