//! What the trainer does about plugins beside calling them: their records reach the log, what was loaded is
//! written down, and a plugin that crashes or hangs is named. Knows nothing of what hooks do.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value as Json;
use snaphook_loader::{LoadError, PluginType, Watchdog};
use snaphook_plugin_api::host::{LogLevel, set_log_sink};
use snaphook_runner::log::RunLogger;

const CRASH_NOTE: &str = ".plugin-crash";
const DEADLINE: Duration = Duration::from_secs(30);

static LOG: OnceLock<RunLogger> = OnceLock::new();

/// Sends what plugins log outside of a call, from threads or through `log` and `tracing`, to the run's log.
pub(crate) fn listen(log: &RunLogger) {
    fn write(level: LogLevel, source: &str, message: &str) {
        if let Some(log) = LOG.get() {
            log.write(level, source, message);
        }
    }
    // Only a second run in one process finds it set, and the first log then serves both.
    let _ = LOG.set(log.clone());
    set_log_sink(write, log.level());
}

/// What the run's folder and its checkpoints say of a plugin, with the type that the run uses.
///
/// Errors: the file is not any more what it was when it was read.
pub(crate) fn record(found: &PluginType) -> Result<Json, LoadError> {
    let mut record = found.plugin().record()?;
    record["type"] = found.info().name.clone().into();
    Ok(record)
}

/// Writes `plugins.json` in the run's folder; nothing when no plugin was loaded.
pub(crate) fn write(run_dir: &Path, entries: &[Json]) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    std::fs::write(run_dir.join("plugins.json"), format!("{:#}\n", Json::from(entries)))
}

/// From now on a crash in a plugin leaves a note in the work folder; warns of the note of an earlier run.
/// Returns the watchdog that reports hooks which hang, to be kept while the run lasts.
pub(crate) fn guard(work_dir: &Path, log: &RunLogger) -> Option<Watchdog> {
    let note = work_dir.join(CRASH_NOTE);
    if let Some(words) = snaphook_loader::take_crash_note(&note) {
        log.warn(format!("An earlier run here ended in a plugin: {words}"));
    }
    if let Err(error) = snaphook_loader::install_last_words(&note) {
        log.warn(format!("A crash in a plugin will not be told apart from others: {error}"));
    }
    let reports = log.clone();
    let watchdog = Watchdog::start(DEADLINE, move |overrun| reports.warn(overrun.to_string()));
    watchdog
        .map_err(|error| log.warn(format!("Hooks that hang will not be reported: {error}")))
        .ok()
}
