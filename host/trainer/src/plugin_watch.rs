//! What the trainer does about plugins beside calling them: their records reach the log, what was loaded is
//! written down, and a plugin that crashes or hangs is named. Knows nothing of what hooks do.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use snaphook_loader::{LoadError, Overrun, PluginType, RunGuard, Sighting, Watchdog};
use snaphook_plugin_api::host::{LogLevel, set_log_sink};
use snaphook_runner::checkpoint;
use snaphook_runner::log::RunLogger;

const CRASH_NOTE: &str = ".plugin-crash";
/// For hooks without a `deadline_s` of their own, and for loading.
const DEADLINE: Duration = Duration::from_secs(30);
/// For checkpoints that are being written when a hook does not come back.
const WRITING: Duration = Duration::from_secs(60);
/// Of a run that failed while training.
const FAILED: i32 = 3;

static LOG: OnceLock<RunLogger> = OnceLock::new();
/// Keeps watch until the process ends.
static WATCHDOG: OnceLock<Option<Watchdog>> = OnceLock::new();

/// Sends what plugins log outside of a call, from threads or through `log` and `tracing`, to the run's log; and what the
/// watchdog sees: calls that take too long, files that were replaced.
pub(crate) fn listen(log: &RunLogger) {
    fn write(level: LogLevel, source: &str, message: &str) {
        if let Some(log) = LOG.get() {
            log.write(level, source, message);
        }
    }
    // Only a second run in one process finds it set, and the first log then serves both.
    let _ = LOG.set(log.clone());
    set_log_sink(write, log.level());
    WATCHDOG.get_or_init(|| {
        let reports = log.clone();
        let watchdog =
            Watchdog::start(DEADLINE, RunLogger::prepare_thread, move |seen| match seen {
                Sighting::Overrun(overrun) => too_slow(&reports, &overrun),
                Sighting::Replaced(file) => reports.warn(replaced(&file)),
            });
        let failed = |error| log.warn(format!("Hooks that hang will not be reported: {error}"));
        watchdog.map_err(failed).ok()
    });
}

fn too_slow(log: &RunLogger, overrun: &Overrun) {
    if !overrun.is_final {
        return log.warn(overrun.to_string());
    }
    let words = format!("{overrun}; it does not come back, so the run ends (on_deadline='stop')");
    log.last_error(&words);
    let began = Instant::now();
    while checkpoint::undone() > 0 && began.elapsed() < WRITING {
        std::thread::sleep(Duration::from_millis(10));
    }
    snaphook_loader::end_process(&format!("error: {words}"), FAILED);
}

fn replaced(file: &Path) -> String {
    format!(
        "{} changed on disk: this run goes on with the old code, the next one takes the new",
        file.display()
    )
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

/// From now on a crash in a plugin is told on standard error, and in a note in the work folder if that folder is there by
/// then. Meant to be called before plugins are loaded.
pub(crate) fn expect_crashes(work_dir: &Path, log: &RunLogger) {
    if let Err(error) = snaphook_loader::install_last_words(&work_dir.join(CRASH_NOTE)) {
        log.warn(format!("A crash in a plugin will not be told apart from others: {error}"));
    }
}

/// Warns of the note of an earlier run, and takes `exit` for a failure until what is returned is dropped; that looks once
/// more at the plugins' files when the run ends.
pub(crate) fn guard(work_dir: &Path, log: &RunLogger) -> Guard {
    if let Some(words) = snaphook_loader::take_crash_note(&work_dir.join(CRASH_NOTE)) {
        log.warn(format!("An earlier run here ended in a plugin: {words}"));
    }
    Guard { log: log.clone(), _run: RunGuard::begin() }
}

/// The end of a run.
pub(crate) struct Guard {
    log: RunLogger,
    _run: RunGuard,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // What the watchdog told already is not shown twice.
        let replaced_files = snaphook_loader::replaced_files();
        replaced_files.iter().for_each(|file| self.log.warn(replaced(file)));
    }
}
