//! Begins the log of a process: what the terminal shows of it, and how records of libraries come into it.
//! Knows nothing of runs.

use serde_json::Value as Json;
use snaphook_cli::args::LogFormat;
use snaphook_plugin_api::host::LogLevel;
use snaphook_runner::log::{Console, LogLayer, RunLogger};
use tracing_subscriber::layer::SubscriberExt;

use crate::company::Company;
use crate::heartbeat;

/// The log of this process, and the record of what it does: before the others are waited for.
pub(crate) fn begin(format: LogFormat, config: &Json) -> RunLogger {
    let console = match format {
        _ if Company::told_rank() > 0 => Console::Silent,
        LogFormat::Text => Console::detect(),
        LogFormat::Json => Console::Json,
    };
    let log = RunLogger::new(console, log_level(config));
    start_tracing(&log);
    heartbeat::begin(&log);
    log
}

fn log_level(config: &Json) -> LogLevel {
    match config["log_level"].as_str().map(str::to_ascii_uppercase).as_deref() {
        Some("ERROR" | "CRITICAL" | "FATAL") => LogLevel::Error,
        Some("WARNING" | "WARN") => LogLevel::Warn,
        Some("DEBUG" | "NOTSET") => LogLevel::Debug,
        _ => LogLevel::Info,
    }
}

fn start_tracing(log: &RunLogger) {
    let level = match log.level() {
        LogLevel::Error => tracing::level_filters::LevelFilter::ERROR,
        LogLevel::Warn => tracing::level_filters::LevelFilter::WARN,
        LogLevel::Info => tracing::level_filters::LevelFilter::INFO,
        LogLevel::Debug | LogLevel::Trace => tracing::level_filters::LevelFilter::DEBUG,
    };
    let subscriber = tracing_subscriber::registry().with(level).with(LogLayer(log.clone()));
    // Only a second call in one process fails, and then the first subscriber serves.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
