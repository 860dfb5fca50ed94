//! What hooks are called for before there is a run: one of them brings a checkpoint that a URL names onto this machine, in
//! their order, until one knows the URL; and all hear of a failure. Knows nothing of clouds.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_cli::checkpoint_url;
use snaphook_hooks::{Dispatcher, Host};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::{
    LogLevel, Progress, ServiceError, Services, Statistic, TensorHandle,
};
use snaphook_runner::log::RunLogger;
use snaphook_runner::{RunError, Start};

use crate::company::shown;
use crate::error::TrainerError;
use crate::signals;

/// The file that an address or a name of trained weights means, fetched first where it is not there; anything else as it is.
///
/// Errors: an unknown name, an address that cannot be fetched.
pub(crate) fn located(path: &Path) -> Result<PathBuf, TrainerError> {
    let source = path.to_string_lossy();
    match snaphook_weights::knows_scheme(&source) {
        true => Ok(snaphook_weights::locate(&source)?),
        false => Ok(path.to_owned()),
    }
}

/// The same start, with a path where there was a URL.
///
/// Errors: the hook that knows the URL fails, or none does.
pub(crate) fn fetch(
    start: Start,
    dispatcher: &mut Dispatcher,
    arrival: Arrival<'_>,
) -> Result<Start, RunError> {
    let place = match &start {
        Start::Resume(path) | Start::Weights(path) => path.as_path(),
        Start::Fresh | Start::ResumeLast => return Ok(start),
    };
    let Some(url) = checkpoint_url(place) else { return Ok(start) };
    let is_resume = matches!(start, Start::Resume(_));
    let path = arrival.ask(url, dispatcher, if is_resume { "resume" } else { "load_from" })?;
    Ok(if is_resume { Start::Resume(path) } else { Start::Weights(path) })
}

/// A run before it is built: what a hook needs in order to fetch something.
pub(crate) struct Arrival<'a> {
    pub(crate) log: &'a RunLogger,
    pub(crate) config: &'a Json,
    /// The folder that the checkpoint goes into.
    pub(crate) work_dir: &'a Path,
    /// What the run would be called.
    pub(crate) name: &'a str,
    /// This process' number, and how many there are.
    pub(crate) ranks: (usize, usize),
}

impl Arrival<'_> {
    /// `key` is that of the config which stands for what was asked for.
    ///
    /// Errors: the hook's; the request to end, where that is why it gave up.
    fn ask(&self, url: &str, dispatcher: &mut Dispatcher, key: &str) -> Result<PathBuf, RunError> {
        let payload = json!({ "url": url, "folder": self.work_dir });
        let mut asked = Asked { arrival: self, payload, found: None };
        let fetched = dispatcher.call(HookPoint::FetchCheckpoint, None, &mut asked);
        if let (Err::<(), RunError>(error), Some(signal)) = (&fetched, signals::catch().signal()) {
            self.log.warn(error.to_string());
            return Err(RunError::Interrupted { signal });
        }
        fetched?;
        asked.found.ok_or_else(|| {
            let message = format!(
                "expected a hook in the config that fetches {url}, found none that does (CloudCheckpointHook knows s3://, \
                 gs:// and az://)"
            );
            RunError::config(key, message)
        })
    }

    /// Tells hooks that there will be no run.
    pub(crate) fn tell_failure(&self, error: &TrainerError, dispatcher: &mut Dispatcher) {
        let payload = json!({ "kind": error.kind(), "message": shown(error) });
        let mut asked = Asked { arrival: self, payload, found: None };
        let told = dispatcher.call(HookPoint::OnException, None, &mut asked);
        if let Err::<(), RunError>(second) = told {
            self.log.warn(format!("While the run was ending: {second}"));
        }
    }
}

/// The services meanwhile.
struct Asked<'a> {
    arrival: &'a Arrival<'a>,
    payload: Json,
    found: Option<PathBuf>,
}

impl Services for Asked<'_> {
    fn progress(&mut self) -> Progress {
        Progress::default()
    }

    fn log_level(&mut self) -> LogLevel {
        self.arrival.log.level()
    }

    fn log(&mut self, level: LogLevel, target: &str, message: &str) {
        self.arrival.log.write(level, target, message);
    }

    fn scalar_add(&mut self, _: &str, _: f64, _: u64) {}

    fn scalar_add_tensor(&mut self, _: &str, _: TensorHandle) {}

    fn scalar_read(&mut self, _: &str, _: Statistic, _: u64) -> Option<f64> {
        None
    }

    fn output(&mut self, _: &str) -> Option<TensorHandle> {
        None
    }

    fn output_names(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn tensor_item(&mut self, _: TensorHandle) -> Result<f64, ServiceError> {
        Err(not_yet("tensors"))
    }

    fn tensor_all_finite(&mut self, _: TensorHandle) -> Result<bool, ServiceError> {
        Err(not_yet("tensors"))
    }

    fn learning_rate(&mut self) -> Option<f64> {
        None
    }

    fn payload(&mut self, _: HookPoint) -> Json {
        self.payload.clone()
    }

    fn call(&mut self, service: &str, method: &str, arguments: Json) -> Result<Json, ServiceError> {
        match (service, method) {
            ("snaphook.run/1", "info") => Ok(json!({
                "work_dir": self.arrival.work_dir, "experiment_name": self.arrival.name,
                "version": env!("CARGO_PKG_VERSION"),
            })),
            ("snaphook.distributed/1", "world") => {
                let (rank, world) = self.arrival.ranks;
                Ok(json!({ "rank": rank, "world_size": world }))
            }
            ("snaphook.control/1", "interruption") => Ok(match signals::catch().signal() {
                Some(signal) => json!({ "signal": signal, "times": 1 }),
                None => Json::Null,
            }),
            ("snaphook.run/1", "config") => Ok(self.arrival.config.clone()),
            ("snaphook.checkpoint/1", "fetched") => {
                let path = arguments["path"].as_str().unwrap_or_default();
                self.found.get_or_insert_with(|| path.into());
                Ok(Json::Null)
            }
            _ => Err(not_yet(service)),
        }
    }
}

impl Host for Asked<'_> {
    type Error = RunError;

    fn has_requests(&self) -> bool {
        false
    }

    fn carry_out(&mut self, _: &mut Dispatcher) -> Result<(), RunError> {
        Ok(())
    }

    fn drop_requests(&mut self) {}
}

fn not_yet(what: &str) -> ServiceError {
    ServiceError::Unsupported(format!("{what} before the run is built"))
}
