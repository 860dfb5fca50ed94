//! Where records go that a plugin writes outside of a call, from a thread or through the `log` crate.
//! Knows nothing of how the host shows them.

use super::LogLevel;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// Takes a record: its level, its target, its text.
pub type LogSink = fn(LogLevel, &str, &str);

static SINK: OnceLock<LogSink> = OnceLock::new();
static LEVEL: AtomicU32 = AtomicU32::new(0);

/// Sets where such records go; the first call of a process wins. Without one they are dropped.
pub fn set_log_sink(sink: LogSink, level: LogLevel) {
    if SINK.set(sink).is_ok() {
        LEVEL.store(level as u32, Ordering::Relaxed);
    }
}

/// Changes the most verbose level that is written; `None` writes nothing.
pub fn set_log_level(level: Option<LogLevel>) {
    LEVEL.store(level.map_or(0, |level| level as u32), Ordering::Relaxed);
}

/// The most verbose level that is written, 0 for none.
pub fn log_level_number() -> u32 {
    level()
}

pub(crate) fn level() -> u32 {
    LEVEL.load(Ordering::Relaxed)
}

pub(crate) fn write(level: LogLevel, target: &str, message: &str) {
    if level as u32 <= self::level() {
        if let Some(sink) = SINK.get() {
            sink(level, target, message);
        }
    }
}
