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

impl Profile<'_> {
    /// Writes down every iteration, phase and call of a hook from now on; what was written down before is forgotten.
    pub fn start(&self) -> ServiceResult<()> {
        self.host.call(ids::PROFILE, "start", &json!({})).map(drop)
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
}
